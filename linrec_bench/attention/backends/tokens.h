// What the passes over tokens have in common: types, vectors, and where tokens are.
//
// A file that includes this is built for one data type and head size: STORED, REAL and HEAD_SIZE are given to
// the compiler. Rows are padded with zeros to W numbers, whole vectors.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

struct BFloat16 {
  uint16_t bits;
  BFloat16() = default;
  BFloat16(float x) {
    uint32_t word;
    std::memcpy(&word, &x, 4);
    // To nearest, ties to even; a NaN stays one.
    bits = x != x ? 0x7fc0 : (word + 0x7fff + ((word >> 16) & 1)) >> 16;
  }
  operator float() const {
    const uint32_t word = uint32_t(bits) << 16;
    float x;
    std::memcpy(&x, &word, 4);
    return x;
  }
};

using Stored = STORED;
using Real = REAL;
constexpr int D = HEAD_SIZE;

// Bytes of a vector register of the target: wider vectors would be taken apart into memory.
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
constexpr int L = VECTOR_BYTES / sizeof(Real);
// Products take rows by fours.
constexpr int STEP = L > 4 ? L : 4;
constexpr int W = (D + STEP - 1) / STEP * STEP;
constexpr int C = W / L;
typedef Real Lanes __attribute__((vector_size(VECTOR_BYTES), may_alias));

struct Shape {
  int64_t batch, heads, length, segments, threads;
};

// Tokens of [B, H, N, d]. Strides count numbers; that of the last axis is 1.
template <typename Number>
struct Rows {
  Number* data;
  int64_t batch, head, token;
};

// True at real tokens, [B, N]; null where all are.
using Mask = const uint8_t*;

typedef float Floats __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef double Doubles __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef int32_t Integers __attribute__((vector_size(VECTOR_BYTES)));
