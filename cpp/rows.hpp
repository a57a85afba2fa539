// Rows from anywhere in memory, turned into features by rows.
#pragma once

#include <cstring>

#include "layout.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

template <class T>
MIXTURA_INLINE double number_at(const char* p) {
    T value;  // the address need not be aligned
    std::memcpy(&value, p, sizeof value);
    return value;
}

template <class T>
void copy_columns(const Matrix& m, Span span, double* out, Index stride) {
    for (Index n0 = 0; n0 < span.count; n0 += lanes) {
        Index end = n0 + lanes < span.count ? n0 + lanes : span.count;
        for (Index j = 0; j < m.n_columns; ++j) {
            const char* p = m.data + (span.first + n0) * m.row_stride + j * m.column_stride;
            double* to = out + j * stride;
            for (Index n = n0; n < end; ++n, p += m.row_stride) to[n] = number_at<T>(p);
        }
    }
}

// Contiguous rows of doubles: squares of lanes x lanes numbers are turned in registers.
inline void turn_rows(const Matrix& m, Span span, double* out, Index stride) {
    Index whole_rows = span.count / lanes * lanes, whole_columns = m.n_columns / lanes * lanes;
    for (Index n = 0; n < whole_rows; n += lanes) {
        const char* row = m.data + (span.first + n) * m.row_stride;
        for (Index j = 0; j < whole_columns; j += lanes) {
            Vec square[lanes];
            MIXTURA_UNROLL
            for (int l = 0; l < lanes; ++l) {
                square[l] = load_loose(
                    reinterpret_cast<const double*>(row + l * m.row_stride) + j);
            }
            transpose(square);
            MIXTURA_UNROLL
            for (int l = 0; l < lanes; ++l) store(out + (j + l) * stride + n, square[l]);
        }
    }
    Matrix rest = m;
    if (whole_columns < m.n_columns) {
        rest.data += whole_columns * m.column_stride;
        rest.n_columns -= whole_columns;
        copy_columns<double>(rest, {span.first, whole_rows}, out + whole_columns * stride, stride);
    }
    copy_columns<double>(m, {span.first + whole_rows, span.count - whole_rows}, out + whole_rows,
                         stride);
}

// Copies rows to out[j * stride + n]; rows span.count .. n_filled-1 repeat the last one.
inline void load_rows(const Matrix& m, Span span, Index n_filled, double* out, Index stride) {
    if (m.single_precision) {
        copy_columns<float>(m, span, out, stride);
    } else if (m.column_stride == sizeof(double)) {
        turn_rows(m, span, out, stride);
    } else {
        copy_columns<double>(m, span, out, stride);
    }
    for (Index j = 0; span.count < n_filled && j < m.n_columns; ++j) {
        double last = out[j * stride + span.count - 1];
        for (Index n = span.count; n < n_filled; ++n) out[j * stride + n] = last;
    }
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
