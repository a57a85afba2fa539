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

// A square of lanes x lanes numbers is turned in registers: its rows begin at `from`, the
// first `columns` of its columns go to `to`.
MIXTURA_INLINE void turn_square(const char* from, Index row_stride, double* to, Index stride,
                                Index columns) {
    Vec square[lanes];
    MIXTURA_UNROLL
    for (int l = 0; l < lanes; ++l) {
        square[l] = load_loose(reinterpret_cast<const double*>(from + l * row_stride));
    }
    transpose(square);
    MIXTURA_UNROLL
    for (int l = 0; l < lanes; ++l) {
        if (l < columns) store(to + l * stride, square[l]);
    }
}

// Contiguous rows of doubles. The last square of columns overlaps the one before it; rows shorter
// than a square are read together with the beginning of the next one, where there is one.
inline void turn_rows(const Matrix& m, Span span, double* out, Index stride) {
    const Index d = m.n_columns, row_stride = m.row_stride;
    Index whole = span.count / lanes * lanes;
    if (d < lanes) {
        bool packed = row_stride == d * Index(sizeof(double));
        Index readable = m.n_rows - span.first - (lanes + d - 1) / d;
        if (!packed || readable < 0) readable = 0;
        if (whole > readable) whole = readable / lanes * lanes;
    }
    const char* row = m.data + span.first * row_stride;
    for (Index n = 0; n < whole; n += lanes, row += lanes * row_stride) {
        if (d == 1) {
            store(out + n, load_loose(reinterpret_cast<const double*>(row)));
            continue;
        }
        if (d == 2 && row_stride == 2 * Index(sizeof(double))) {
            Vec first = load_loose(reinterpret_cast<const double*>(row));
            Vec second = load_loose(reinterpret_cast<const double*>(row) + lanes);
            unzip(first, second);
            store(out + n, first);
            store(out + stride + n, second);
            continue;
        }
        if (d < lanes) {
            turn_square(row, row_stride, out + n, stride, d);
            continue;
        }
        for (Index j = 0; j < d; j += lanes) {
            Index start = j + lanes <= d ? j : d - lanes;
            turn_square(row + start * Index(sizeof(double)), row_stride, out + start * stride + n,
                        stride, lanes);
        }
    }
    copy_columns<double>(m, {span.first + whole, span.count - whole}, out + whole, stride);
}

// Rows of doubles that are stored column by column.
inline void copy_whole_columns(const Matrix& m, Span span, double* out, Index stride) {
    for (Index j = 0; j < m.n_columns; ++j) {
        std::memcpy(out + j * stride, m.data + span.first * m.row_stride + j * m.column_stride,
                    static_cast<std::size_t>(span.count) * sizeof(double));
    }
}

// Copies rows to out[j * stride + n]; rows span.count .. n_filled-1 repeat the last one.
inline void load_rows(const Matrix& m, Span span, Index n_filled, double* out, Index stride) {
    if (m.single_precision) {
        copy_columns<float>(m, span, out, stride);
    } else if (m.row_stride == sizeof(double)) {
        copy_whole_columns(m, span, out, stride);
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
