// LinRec's passes over tokens, with the feature maps and the norms inside the products.
//
// A tile of T tokens is loaded, mapped, multiplied with the d x d state of its head, and written: of length N
// there is nothing but q, k, v, o and their gradients. Rows are padded with zeros to W numbers, whole vectors.
// `native.py` builds this file for one data type and head size and says what each pass computes.

#include "tokens.h"

constexpr int T = 16;

// What one thread works on: the tokens [first, last) of one head. `index` counts [segment, B, H], `state` [B, H].
struct Part {
  int64_t index, state, batch, head, first, last, ahead = T;
  Part(const Shape& shape, int64_t number) : index(number) {
    const int64_t tiles = (shape.length + T - 1) / T, segment = index / (shape.batch * shape.heads);
    state = index % (shape.batch * shape.heads);
    batch = state / shape.heads;
    head = state % shape.heads;
    first = std::min(segment * tiles / shape.segments * T, shape.length);
    last = std::min((segment + 1) * tiles / shape.segments * T, shape.length);
  }
};

// Rows of W numbers, as C vectors or one by one.
template <int Count>
struct Block {
  Lanes at[Count][C];
  Real* row(int i) { return (Real*)at[i]; }
  const Real* row(int i) const { return (const Real*)at[i]; }
  void clear() { std::memset(at, 0, sizeof at); }
  void read(const Real* from) {
    clear();
    for (int i = 0; i < Count && i < D; ++i) std::copy(from + i * D, from + (i + 1) * D, row(i));
  }
  void write(Real* to) const {
    for (int i = 0; i < Count && i < D; ++i) std::copy(row(i), row(i) + D, to + i * D);
  }
};
using Tile = Block<T>;
using State = Block<W>;
using Row = Block<1>;

// c[r][j] += sum_i a[r * row + i * step] b[i][j].
template <int Count, int Inner, int Width>
static void add_product(const Real* a, int row, int step, const Real* b, Real* c) {
  // R rows by V vectors of sums stay in registers; each number that is loaded enters several of them.
  constexpr int R = 4, V = Width % (2 * L) == 0 ? 2 : 1;
  static_assert(Count % R == 0 && Width % L == 0);
  for (int r = 0; r < Count; r += R)
    for (int j = 0; j < Width; j += V * L) {
      Lanes sum[R][V];
      for (int x = 0; x < R; ++x)
        for (int y = 0; y < V; ++y) sum[x][y] = *(const Lanes*)(c + (r + x) * Width + j + y * L);
      for (int i = 0; i < Inner; ++i) {
        Lanes factor[V];
        for (int y = 0; y < V; ++y) factor[y] = *(const Lanes*)(b + i * Width + j + y * L);
        for (int x = 0; x < R; ++x)
          for (int y = 0; y < V; ++y) sum[x][y] += a[(r + x) * row + i * step] * factor[y];
      }
      for (int x = 0; x < R; ++x)
        for (int y = 0; y < V; ++y) *(Lanes*)(c + (r + x) * Width + j + y * L) = sum[x][y];
    }
}

// c += a^T b, sums over the tokens of a tile.
static void add_outer(const Tile& a, const Tile& b, State& c) {
  add_product<W, T, W>(a.row(0), 1, W, b.row(0), c.row(0));
}

// c += a s.
static void add_read(const Tile& a, const State& s, Tile& c) {
  add_product<T, W, W>(a.row(0), W, 1, s.row(0), c.row(0));
}

static State transposed(const State& s) {
  State turned;
  for (int i = 0; i < W; ++i)
    for (int j = 0; j < W; ++j) turned.row(j)[i] = s.row(i)[j];
  return turned;
}

// The products of every row of a tile with the rows of another up to it, zero above.
struct alignas(64) Triangle {
  Real at[T][T];
  Triangle(const Tile& a, const Tile& b) {
    alignas(64) Real turned[W][T];
    for (int t = 0; t < T; ++t)
      for (int j = 0; j < W; ++j) turned[j][t] = b.row(t)[j];
    std::memset(at, 0, sizeof at);
    add_product<T, W, T>(a.row(0), W, 1, turned[0], at[0]);
    for (int t = 0; t < T; ++t)
      for (int s = t + 1; s < T; ++s) at[t][s] = 0;
  }
  // c += P b.
  void add(const Tile& b, Tile& c) const { add_product<T, T, W>(at[0], T, 1, b.row(0), c.row(0)); }
  // c += P^T b.
  void add_turned(const Tile& b, Tile& c) const { add_product<T, T, W>(at[0], 1, T, b.row(0), c.row(0)); }
};

template <typename Number>
static void load(const Rows<Number>& rows, const Part& part, int64_t token, int count, Tile& to) {
  const Number* from = rows.data + part.batch * rows.batch + part.head * rows.head + token * rows.token;
  if (count < T || D < W) to.clear();
  // The tile after this one, wherever it is: the processor does not foresee many streams at once.
  for (int t = 0; t < T; ++t) __builtin_prefetch(from + (t + part.ahead) * rows.token);
  for (int t = 0; t < count; ++t)
    for (int j = 0; j < D; ++j) to.row(t)[j] = Real(from[t * rows.token + j]);
}

template <typename Number>
static void store(const Tile& from, const Rows<Number>& rows, const Part& part, int64_t token, int count) {
  Number* to = rows.data + part.batch * rows.batch + part.head * rows.head + token * rows.token;
  for (int t = 0; t < count; ++t)
    for (int j = 0; j < D; ++j) to[t * rows.token + j] = Number(from.row(t)[j]);
}

// Rows of padding set to zero.
static void mask_rows(Tile& tile, const Part& part, int64_t token, int count, Mask real, int64_t length) {
  for (int t = 0; real && t < count; ++t)
    if (!real[part.batch * length + token + t]) std::fill(tile.row(t), tile.row(t) + W, Real(0));
}

// x where positive, exp(x) - 1 elsewhere, to about one unit in the last place also near zero:
// exp(x) - 1 = 2^n (exp(r) - 1) + 2^n - 1 with x = n ln 2 + r, and exp(r) - 1 by its Taylor series.
static inline Floats elu(Floats x) {
  const Floats low = x < -25 ? Floats{} - 25 : x < 0 ? x : Floats{};
  // Adding and taking away 1.5 * 2^23 rounds to a whole number.
  const Floats n = (low * 1.44269504f + 12582912.0f) - 12582912.0f;
  const Floats r = (low - n * 0.693145752f) - n * 1.42860677e-6f;
  Floats sum = Floats{} + 1.0f / 5040;
  for (float term : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f}) sum = sum * r + term;
  const Floats power = (Floats)((__builtin_convertvector(n, Integers) + 127) << 23);
  const Floats below = power * (sum * r) + (power - 1);
  return x < 0 ? below : x;
}
static inline Doubles elu(Doubles x) {
  for (int j = 0; j < 8; ++j) x[j] = x[j] < 0 ? std::expm1(x[j]) : x[j];
  return x;
}

// scale / sqrt(x), and 0 where x is 0.
static inline Lanes over_root(Real scale, Lanes x) {
  Lanes root = x;
  Real* numbers = (Real*)&root;
  for (int j = 0; j < L; ++j) numbers[j] = std::sqrt(numbers[j]);
  return x == 0 ? Lanes{} : scale / root;
}

static inline Real dot(const Lanes* a, const Lanes* b) {
  Lanes sum = {};
  for (int c = 0; c < C; ++c) sum += a[c] * b[c];
  Real* numbers = (Real*)&sum;
  // In halves, which are vectors again; one number after another would be a chain.
#pragma GCC unroll 4
  for (int half = L / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) numbers[j] += numbers[j + half];
  return numbers[0];
}

// The tokens of one tile as features elu(x), zero at padding, and as rows of one length, zero where they are zero.
struct Features {
  Tile raw, unit;
  Lanes scales[T / L];
  Real length;

  Features(const Rows<Stored>& rows, const Part& part, int64_t token, int count, Mask real, int64_t total,
           Real length)
      : length(length) {
    load(rows, part, token, count, raw);
    for (int t = 0; t < T; ++t)
      for (int c = 0; c < C; ++c) raw.at[t][c] = elu(raw.at[t][c]);
    mask_rows(raw, part, token, count, real, total);
    for (int t = 0; t < T; ++t) scales[t / L][t % L] = dot(raw.at[t], raw.at[t]);
    for (Lanes& some : scales) some = over_root(length, some);
    for (int t = 0; t < T; ++t)
      for (int c = 0; c < C; ++c) unit.at[t][c] = raw.at[t][c] * scale(t);
  }

  Real scale(int t) const { return scales[t / L][t % L]; }

  // From the slope at the unit rows to that at the features.
  void through_norm(Tile& slope) const {
    for (int t = 0; t < T; ++t) {
      const Real along = dot(unit.at[t], slope.at[t]) / (length * length);
      for (int c = 0; c < C; ++c) slope.at[t][c] = (slope.at[t][c] - unit.at[t][c] * along) * scale(t);
    }
  }

  // From the slope at the features to that at x, whose derivative is 1, or elu(x) + 1 below zero.
  void through_elu(Tile& slope) const {
    for (int t = 0; t < T; ++t)
      for (int c = 0; c < C; ++c) slope.at[t][c] *= raw.at[t][c] > 0 ? Lanes{} + 1 : raw.at[t][c] + 1;
  }
};

// 1 / sqrt(t c_t^2) of every token of a tile, for the column norm of the prefix that ends there.
struct Prefix {
  Row squares;
  Real count;

  // Goes on from the token before the tile to its last; `tile` gets the scales, `sums` every c_t^2. Returns the
  // place of the head's first token, which reads itself alone, or T where it is not in this tile.
  int scales(const Features& keys, const Part& part, int64_t token, int filled, Mask real, int64_t total,
             Tile& tile, Tile& sums) {
    int alone = T;
    for (int t = 0; t < T; ++t) {
      const bool counts = t < filled && (!real || real[part.batch * total + token + t]);
      count += counts;
      if (counts && count == 1) alone = t;
      for (int c = 0; c < C; ++c) {
        squares.at[0][c] += keys.raw.at[t][c] * keys.raw.at[t][c];
        sums.at[t][c] = squares.at[0][c];
        tile.at[t][c] = over_root(1, count * squares.at[0][c]);
      }
    }
    return alone;
  }
};

static void multiply(Tile& by, const Tile& with) {
  for (int t = 0; t < T; ++t)
    for (int c = 0; c < C; ++c) by.at[t][c] *= with.at[t][c];
}

#define FOR_EACH_PART(shape)                                                     \
  _Pragma("omp parallel for schedule(static) num_threads((shape)->threads)")     \
  for (int64_t number = 0; number < (shape)->segments * (shape)->batch * (shape)->heads; ++number)

#define FOR_EACH_TILE(part)                                                            \
  for (int64_t token = (part).first; token < (part).last; token += T)                  \
    if (const int filled = int(std::min<int64_t>(T, (part).last - token)); true)

static const Real ROOT = 1 / std::sqrt(Real(D));

extern "C" {

// sums[part] = k^T v, of elu(k) in unit rows or, for the column norm, as it is; squares[part] = sum of elu(k)^2.
void summarise(const Shape* shape, const Rows<Stored>* k, const Rows<Stored>* v, Mask real, int column, Real* sums,
               Real* squares) {
  FOR_EACH_PART(shape) {
    const Part part(*shape, number);
    State sum;
    Row square;
    Tile values;
    sum.clear();
    square.clear();
    FOR_EACH_TILE(part) {
      const Features keys(*k, part, token, filled, real, shape->length, 1);
      load(*v, part, token, filled, values);
      add_outer(column ? keys.raw : keys.unit, values, sum);
      for (int t = 0; t < T; ++t)
        for (int c = 0; c < C; ++c) square.at[0][c] += keys.raw.at[t][c] * keys.raw.at[t][c];
    }
    sum.write(sums + part.index * D * D);
    square.write(squares + part.index * D);
  }
}

// out = q' S, q' = elu(q) in rows of length 1 / sqrt(d).
void read(const Shape* shape, const Rows<Stored>* q, const Real* states, const Rows<Stored>* out) {
  FOR_EACH_PART(shape) {
    const Part part(*shape, number);
    State state;
    state.read(states + part.state * D * D);
    FOR_EACH_TILE(part) {
      const Features queries(*q, part, token, filled, nullptr, 0, ROOT);
      Tile sums;
      sums.clear();
      add_read(queries.unit, state, sums);
      store(sums, *out, part, token, filled);
    }
  }
}

// dq, and dS of every part.
void read_back(const Shape* shape, const Rows<Stored>* q, const Real* states, const Rows<Stored>* slope,
               const Rows<Stored>* dq, Real* dstates) {
  FOR_EACH_PART(shape) {
    const Part part(*shape, number);
    State state, dstate;
    state.read(states + part.state * D * D);
    state = transposed(state);
    dstate.clear();
    FOR_EACH_TILE(part) {
      const Features queries(*q, part, token, filled, nullptr, 0, ROOT);
      Tile at_out, at_queries;
      load(*slope, part, token, filled, at_out);
      add_outer(queries.unit, at_out, dstate);
      at_queries.clear();
      add_read(at_out, state, at_queries);
      queries.through_norm(at_queries);
      queries.through_elu(at_queries);
      store(at_queries, *dq, part, token, filled);
    }
    dstate.write(dstates + part.index * D * D);
  }
}

// dk and dv from the slopes at the sums and, for the column norm, at the squares.
void summarise_back(const Shape* shape, const Rows<Stored>* k, const Rows<Stored>* v, Mask real, int column,
                    const Real* dsums, const Real* dsquares, const Rows<Stored>* dk, const Rows<Stored>* dv) {
  FOR_EACH_PART(shape) {
    const Part part(*shape, number);
    State dsum;
    Row dsquare;
    dsum.read(dsums + part.state * D * D);
    const State turned = transposed(dsum);
    dsquare.clear();
    if (column) dsquare.read(dsquares + part.state * D);
    FOR_EACH_TILE(part) {
      const Features keys(*k, part, token, filled, real, shape->length, 1);
      Tile values, at_keys, at_values;
      load(*v, part, token, filled, values);
      at_keys.clear();
      at_values.clear();
      add_read(column ? keys.raw : keys.unit, dsum, at_values);
      add_read(values, turned, at_keys);
      if (column) {
        for (int t = 0; t < T; ++t)
          for (int c = 0; c < C; ++c) at_keys.at[t][c] += 2 * keys.raw.at[t][c] * dsquare.at[0][c];
      } else {
        keys.through_norm(at_keys);
      }
      keys.through_elu(at_keys);
      mask_rows(at_keys, part, token, filled, real, shape->length);
      store(at_keys, *dk, part, token, filled);
      store(at_values, *dv, part, token, filled);
    }
  }
}

// out, causal: every query reads the state that its own token completes.
void scan(const Shape* shape, const Rows<Stored>* q, const Rows<Stored>* k, const Rows<Stored>* v, Mask real,
          int column, const Rows<Stored>* out) {
  FOR_EACH_PART(shape) {
    const Part part(*shape, number);
    State state;
    Prefix prefix{};
    state.clear();
    FOR_EACH_TILE(part) {
      Features queries(*q, part, token, filled, nullptr, 0, ROOT);
      const Features keys(*k, part, token, filled, real, shape->length, 1);
      Tile values, scales, squares, sums;
      load(*v, part, token, filled, values);
      if (column) {
        prefix.scales(keys, part, token, filled, real, shape->length, scales, squares);
        multiply(queries.unit, scales);
      }
      const Tile& weights = column ? keys.raw : keys.unit;
      sums.clear();
      add_read(queries.unit, state, sums);
      Triangle(queries.unit, weights).add(values, sums);
      add_outer(weights, values, state);
      store(sums, *out, part, token, filled);
    }
  }
}

// dq, causal, in a pass from the first token. For the column norm also the slope at c_t^2 of every token, and
// c^2 and t before every tile, which the way back needs: squares [B, H, tiles, d + 1].
void scan_back_queries(const Shape* shape, const Rows<Stored>* q, const Rows<Stored>* k, const Rows<Stored>* v,
                       Mask real, int column, const Rows<Stored>* slope, const Rows<Stored>* dq,
                       const Rows<Real>* dsquares, Real* before) {
  FOR_EACH_PART(shape) {
    const Part part(*shape, number);
    State turned;
    Prefix prefix{};
    turned.clear();
    Real* note = before + part.state * ((shape->length + T - 1) / T) * (D + 1);
    FOR_EACH_TILE(part) {
      const Features queries(*q, part, token, filled, nullptr, 0, ROOT);
      const Features keys(*k, part, token, filled, real, shape->length, 1);
      const Tile& weights = column ? keys.raw : keys.unit;
      Tile values, at_out, at_queries;
      load(*v, part, token, filled, values);
      load(*slope, part, token, filled, at_out);
      at_queries.clear();
      add_read(at_out, turned, at_queries);
      Triangle(at_out, values).add(weights, at_queries);
      add_outer(values, weights, turned);
      if (column) {
        Tile scales, squares;
        prefix.squares.write(note);
        note[D] = prefix.count;
        note += D + 1;
        const int alone = prefix.scales(keys, part, token, filled, real, shape->length, scales, squares);
        multiply(at_queries, scales);
        for (int t = 0; t < T; ++t)
          for (int c = 0; c < C; ++c) {
            const Lanes square = squares.at[t][c], both = at_queries.at[t][c] * queries.unit.at[t][c];
            squares.at[t][c] = square == 0 ? Lanes{} : both / (-2 * square);
          }
        if (alone < T)
          for (Lanes& some : squares.at[alone]) some = Lanes{};
        store(squares, *dsquares, part, token, filled);
      }
      queries.through_norm(at_queries);
      queries.through_elu(at_queries);
      store(at_queries, *dq, part, token, filled);
    }
  }
}

// dk and dv, causal, in a pass from the last token. `dk` may be where `dsquares` are: a tile is read first.
void scan_back_keys(const Shape* shape, const Rows<Stored>* q, const Rows<Stored>* k, const Rows<Stored>* v,
                    Mask real, int column, const Rows<Stored>* slope, const Rows<Real>* dsquares,
                    const Real* before, const Rows<Stored>* dk, const Rows<Stored>* dv) {
  FOR_EACH_PART(shape) {
    Part part(*shape, number);
    part.ahead = -T;
    const int64_t tiles = (shape->length + T - 1) / T;
    State dstate, turned;
    Row after;
    dstate.clear();
    turned.clear();
    after.clear();
    for (int64_t tile = tiles - 1; tile >= 0; --tile) {
      const int64_t token = tile * T;
      const int filled = int(std::min<int64_t>(T, shape->length - token));
      Features queries(*q, part, token, filled, nullptr, 0, ROOT);
      const Features keys(*k, part, token, filled, real, shape->length, 1);
      const Tile& weights = column ? keys.raw : keys.unit;
      Tile values, at_out, at_keys, at_values, at_squares;
      int alone = T;
      load(*v, part, token, filled, values);
      load(*slope, part, token, filled, at_out);
      if (column) {
        Tile scales, squares;
        const Real* note = before + (part.state * tiles + tile) * (D + 1);
        Prefix prefix;
        prefix.squares.read(note);
        prefix.count = note[D];
        alone = prefix.scales(keys, part, token, filled, real, shape->length, scales, squares);
        multiply(queries.unit, scales);
        load(*dsquares, part, token, filled, at_squares);
      }
      at_keys.clear();
      at_values.clear();
      add_read(values, turned, at_keys);
      Triangle slopes(at_out, values);
      if (alone < T) slopes.at[alone][alone] = 0;
      slopes.add_turned(queries.unit, at_keys);
      add_read(weights, dstate, at_values);
      Triangle(queries.unit, weights).add_turned(at_out, at_values);
      add_outer(queries.unit, at_out, dstate);
      add_outer(at_out, queries.unit, turned);
      if (column) {
        for (int t = T - 1; t >= 0; --t)
          for (int c = 0; c < C; ++c) {
            after.at[0][c] += at_squares.at[t][c];
            at_keys.at[t][c] += 2 * keys.raw.at[t][c] * after.at[0][c];
          }
      } else {
        keys.through_norm(at_keys);
      }
      keys.through_elu(at_keys);
      mask_rows(at_keys, part, token, filled, real, shape->length);
      store(at_keys, *dk, part, token, filled);
      store(at_values, *dv, part, token, filled);
    }
  }
}
}
