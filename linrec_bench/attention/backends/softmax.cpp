// Causal softmax attention, row by row of its weights: of length N there is nothing but q, k, v, o, their gradients and,
// for each thread, the keys and values of one head. `native_softmax.py` says what the passes compute.

#include "tokens.h"

#include <limits>
#include <omp.h>

// Queries that read a vector of keys while it is in a register.
constexpr int R = 8;
constexpr Real INFINITE = std::numeric_limits<Real>::infinity();

static int64_t padded(int64_t length) { return (length + L - 1) / L * L; }

// e^x for x up to about 0, and 0 where that is smaller than a normal number: e^x = 2^n e^r, x = n ln 2 + r.
static inline Floats exponential(Floats x) {
  const Floats low = x < -87 ? Floats{} - 87 : x;
  // Adding and taking away 1.5 * 2^23 rounds to a whole number.
  const Floats n = (low * 1.44269504f + 12582912.0f) - 12582912.0f;
  const Floats r = (low - n * 0.693145752f) - n * 1.42860677e-6f;
  Floats sum = Floats{} + 1.0f / 5040;
  for (float term : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) sum = sum * r + term;
  const Floats power = (Floats)((__builtin_convertvector(n, Integers) + 127) << 23);
  return x < -87 ? Floats{} : sum * power;
}
static inline Doubles exponential(Doubles x) {
  for (int j = 0; j < L; ++j) x[j] = std::exp(x[j]);
  return x;
}

static inline void copy_row(const Stored* from, Real scale, Real* to) {
  for (int c = 0; c < D; ++c) to[c] = scale * Real(from[c]);
  for (int c = D; c < W; ++c) to[c] = 0;
}

// What one head needs of all its tokens. Tables of rows are [N, W], turned ones [D, N], both padded with zeros.
struct Head {
  int64_t batch, head, length, width;
  Mask real;

  Head(const Shape& shape, int64_t number, Mask mask)
      : batch(number / shape.heads),
        head(number % shape.heads),
        length(shape.length),
        width(padded(shape.length)),
        real(mask ? mask + batch * shape.length : nullptr) {}

  template <typename Number>
  Number* at(const Rows<Number>& rows, int64_t token) const {
    return rows.data + batch * rows.batch + head * rows.head + token * rows.token;
  }

  void load(const Rows<Stored>& rows, Real* to) const {
    for (int64_t t = 0; t < length; ++t) copy_row(at(rows, t), 1, to + t * W);
    std::fill(to + length * W, to + width * W, Real(0));
  }
  void load_turned(const Rows<Stored>& rows, Real* to) const {
    for (int64_t t = 0; t < length; ++t) {
      const Stored* from = at(rows, t);
      for (int c = 0; c < D; ++c) to[c * width + t] = Real(from[c]);
    }
    for (int c = 0; c < D; ++c) std::fill(to + c * width + length, to + (c + 1) * width, Real(0));
  }
  void store(const Real* from, const Rows<Stored>& rows) const {
    for (int64_t t = 0; t < length; ++t)
      for (int c = 0; c < D; ++c) at(rows, t)[c] = Stored(from[t * W + c]);
  }

  // 0 at keys that may be seen, else minus infinity.
  void bar(Real* to) const {
    for (int64_t t = 0; t < width; ++t) to[t] = t < length && (!real || real[t]) ? Real(0) : -INFINITE;
  }

  // Whether a query has no output: beyond the end, or padding that would see what came before it.
  bool blind(int64_t token) const { return token >= length || (real && !real[token]); }

  // The keys up to which the queries from `token` on see any, in whole vectors.
  int64_t seen(int64_t token) const { return std::min(padded(token + R), width); }
};

// R rows of D numbers, zeros where the head has ended.
static void load_rows(const Head& head, const Rows<Stored>& rows, int64_t token, Real scale, Real (*to)[W]) {
  for (int r = 0; r < R; ++r) {
    if (token + r < head.length)
      copy_row(head.at(rows, token + r), scale, to[r]);
    else
      std::fill(to[r], to[r] + W, Real(0));
  }
}

// products[r] = a[r] . b_j for the vector of keys at j.
static inline void multiply(const Real (*a)[W], const Real* turned, int64_t width, int64_t j, Lanes* products) {
  for (int r = 0; r < R; ++r) products[r] = Lanes{};
  for (int c = 0; c < D; ++c) {
    const Lanes column = *(const Lanes*)(turned + c * width + j);
    for (int r = 0; r < R; ++r) products[r] += a[r][c] * column;
  }
}

// The scores of R queries, [R, N], minus infinity where a key is not seen.
static void score(const Head& head, const Real (*q)[W], const Real* keys, const Real* bars, int64_t token,
                  Real* scores) {
  const int64_t end = head.seen(token);
  for (int64_t j = 0; j < end; j += L) {
    Lanes products[R];
    multiply(q, keys, head.width, j, products);
    for (int r = 0; r < R; ++r) *(Lanes*)(scores + r * head.width + j) = products[r] + *(const Lanes*)(bars + j);
  }
  for (int r = 0; r < R; ++r)
    for (int64_t j = token + r + 1; j < end; ++j) scores[r * head.width + j] = -INFINITE;
}

// c[r] += sum_j weights[r][j] b_j, over the first `end` rows of b.
static void average(const Real* weights, int64_t width, const Real* b, int64_t end, Real (*c)[W]) {
  for (int w = 0; w < W; w += L) {
    Lanes sum[R] = {};
    for (int64_t j = 0; j < end; ++j) {
      const Lanes row = *(const Lanes*)(b + j * W + w);
      for (int r = 0; r < R; ++r) sum[r] += weights[r * width + j] * row;
    }
    for (int r = 0; r < R; ++r) *(Lanes*)(c[r] + w) = sum[r];
  }
}

// b_j += sum_r weights[r][j] a[r], for the first `end` rows of b.
static void spread(const Real* weights, int64_t width, const Real (*a)[W], int64_t end, Real* b) {
  for (int w = 0; w < W; w += L) {
    Lanes rows[R];
    for (int r = 0; r < R; ++r) rows[r] = *(const Lanes*)(a[r] + w);
    for (int64_t j = 0; j < end; ++j) {
      Lanes sum = *(const Lanes*)(b + j * W + w);
      for (int r = 0; r < R; ++r) sum += weights[r * width + j] * rows[r];
      *(Lanes*)(b + j * W + w) = sum;
    }
  }
}

// One number of all lanes, in halves, which are vectors again; one after another would be a chain.
template <typename Combine>
static inline Real folded(Lanes x, Combine combine) {
  Real* numbers = (Real*)&x;
#pragma GCC unroll 4
  for (int half = L / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) numbers[j] = combine(numbers[j], numbers[j + half]);
  return numbers[0];
}
static inline Real highest(Lanes x) {
  return folded(x, [](Real a, Real b) { return a > b || a != a ? a : b; });
}
static inline Real total(Lanes x) {
  return folded(x, [](Real a, Real b) { return a + b; });
}

// The numbers that a thread needs beside its registers.
static int64_t numbers(int64_t length, int back) {
  const int64_t width = padded(length);
  return back ? width * (2 * D + 3 * W + 2 * R + 1) : width * (D + W + R + 1);
}

#define FOR_EACH_HEAD(shape, work, back)                                           \
  _Pragma("omp parallel num_threads((shape)->threads)")                            \
  if (Real* space = (work) + omp_get_thread_num() * numbers((shape)->length, back)) \
  _Pragma("omp for schedule(static)")                                              \
  for (int64_t number = 0; number < (shape)->batch * (shape)->heads; ++number)

extern "C" {

// Of each thread, for `work`.
int64_t workspace(const Shape* shape, int back) { return numbers(shape->length, back); }

// out = softmax(scale q k^T) v over the keys up to each query, and the logarithms of the sums of exponentials, [B, H, N].
void attend(const Shape* shape, const Rows<Stored>* q, const Rows<Stored>* k, const Rows<Stored>* v, Mask real,
            const Rows<Stored>* out, Real* sums, Real* work) {
  const Real scale = 1 / std::sqrt(Real(D));
  FOR_EACH_HEAD(shape, work, 0) {
    const Head head(*shape, number, real);
    Real *keys = space, *values = keys + D * head.width, *weights = values + W * head.width,
         *bars = weights + R * head.width;
    head.load_turned(*k, keys);
    head.load(*v, values);
    head.bar(bars);
    for (int64_t token = 0; token < head.length; token += R) {
      alignas(64) Real queries[R][W], read[R][W];
      Real inverse[R];
      const int64_t end = head.seen(token);
      load_rows(head, *q, token, scale, queries);
      score(head, queries, keys, bars, token, weights);
      for (int r = 0; r < R && token + r < head.length; ++r) {
        Real* row = weights + r * head.width;
        Lanes top = Lanes{} - INFINITE, sum = {};
        for (int64_t j = 0; j < end; j += L) {
          const Lanes some = *(const Lanes*)(row + j);
          // What is no number stays none: a row of them is not a row without a key.
          top = (some > top) | (some != some) ? some : top;
        }
        const Real most = highest(top);
        Real* note = sums + number * head.length + token + r;
        if (most == -INFINITE || head.blind(token + r)) {
          std::fill(row, row + end, Real(0));
          inverse[r] = 0;
          *note = INFINITE;
          continue;
        }
        for (int64_t j = 0; j < end; j += L) {
          const Lanes some = exponential(*(const Lanes*)(row + j) - most);
          *(Lanes*)(row + j) = some;
          sum += some;
        }
        const Real all = total(sum);
        inverse[r] = 1 / all;
        *note = most + std::log(all);
      }
      average(weights, head.width, values, end, read);
      for (int r = 0; r < R && token + r < head.length; ++r)
        for (int c = 0; c < D; ++c) head.at(*out, token + r)[c] = Stored(read[r][c] * inverse[r]);
    }
  }
}

// dq, dk, dv from the slope at out.
void attend_back(const Shape* shape, const Rows<Stored>* q, const Rows<Stored>* k, const Rows<Stored>* v, Mask real,
                 const Rows<Stored>* out, const Real* sums, const Rows<Stored>* slope,
                 const Rows<Stored>* dq, const Rows<Stored>* dk, const Rows<Stored>* dv, Real* work) {
  const Real scale = 1 / std::sqrt(Real(D));
  FOR_EACH_HEAD(shape, work, 1) {
    const Head head(*shape, number, real);
    const int64_t width = head.width;
    Real *keys = space, *values = keys + D * width, *rows = values + D * width, *at_keys = rows + W * width,
         *at_values = at_keys + W * width, *weights = at_values + W * width, *slopes = weights + R * width,
         *bars = slopes + R * width;
    head.load_turned(*k, keys);
    head.load_turned(*v, values);
    head.load(*k, rows);
    head.bar(bars);
    std::fill(at_keys, at_keys + 2 * W * width, Real(0));
    for (int64_t token = 0; token < head.length; token += R) {
      alignas(64) Real queries[R][W], at_out[R][W], read[R][W], at_queries[R][W];
      Real along[R], note[R];
      const int64_t end = head.seen(token);
      load_rows(head, *q, token, scale, queries);
      load_rows(head, *slope, token, 1, at_out);
      load_rows(head, *out, token, 1, read);
      score(head, queries, keys, bars, token, weights);
      for (int r = 0; r < R; ++r) {
        Lanes product = {};
        for (int w = 0; w < W; w += L) product += *(Lanes*)(at_out[r] + w) * *(Lanes*)(read[r] + w);
        along[r] = total(product);
        note[r] = head.blind(token + r) ? INFINITE : sums[number * head.length + token + r];
      }
      for (int64_t j = 0; j < end; j += L) {
        Lanes products[R];
        multiply(at_out, values, width, j, products);
        for (int r = 0; r < R; ++r) {
          Lanes& weight = *(Lanes*)(weights + r * width + j);
          weight = exponential(weight - note[r]);
          *(Lanes*)(slopes + r * width + j) = weight * (products[r] - along[r]);
        }
      }
      average(slopes, width, rows, end, at_queries);
      spread(slopes, width, queries, end, at_keys);
      spread(weights, width, at_out, end, at_values);
      for (int r = 0; r < R && token + r < head.length; ++r)
        for (int c = 0; c < D; ++c) head.at(*dq, token + r)[c] = Stored(scale * at_queries[r][c]);
    }
    head.store(at_keys, *dk);
    head.store(at_values, *dv);
  }
}
}
