// Python's door to moves: partitions made of responsibilities, and those that runs tell.
#include "moves.hpp"
#include "run_arguments.hpp"
#include "run_partitions.hpp"

namespace mixtura {
namespace {

using Labels = nb::ndarray<nb::numpy, std::int32_t>;

// Some partitions of n rows as an array (J, n).
Labels as_array(const std::vector<std::int32_t>& labels, Index n) {
    const std::size_t rows = labels.size() / static_cast<std::size_t>(std::max<Index>(n, 1));
    Labels array = empty_array<std::int32_t>({rows, static_cast<std::size_t>(n)});
    std::copy(labels.begin(), labels.end(), array.data());
    return array;
}

// Calls make(labels) with room for one more partition, which stays if it says so.
template <class Make>
void add_partition(std::vector<std::int32_t>& all, Index n, Make make) {
    all.resize(all.size() + static_cast<std::size_t>(n));
    if (!make(all.data() + all.size() - n)) all.resize(all.size() - static_cast<std::size_t>(n));
}

struct SoftArguments {
    ArrayView responsibilities, z;
    OptionalView weights;
    SoftPartition soft;

    SoftArguments(handle r, handle w, handle z_, Index n_free)
        : responsibilities(r, "R"), z(z_, "Z"), weights(w, "weights") {
        if (responsibilities.n_dimensions() != 2) responsibilities.refuse("must have 2 dimensions");
        if (z.n_dimensions() != 2) z.refuse("must have 2 dimensions");
        const Index n = responsibilities.size(0), K = responsibilities.size(1), d = z.size(1);
        if (K < 1 || n_free < 0 || n_free > K) refuse("n_free must lie in 0 .. K, the columns of R");
        soft = {n, K, n_free, d,
                responsibilities.contiguous<const double>(Element::float64, "float64", {n, K}),
                weights.get<const double>(Element::float64, "float64", {n}),
                z.contiguous<const double>(Element::float64, "float64", {n, d})};
    }
};

Labels split_partitions_py(handle r, handle weights, handle z, Index n_free, Index n_splits,
                           std::uint64_t seed) {
    const SoftArguments given(r, weights, z, n_free);
    const Moves moves(given.soft);
    const std::vector<Index> widest = moves.widest();
    std::vector<std::int32_t> made;
    for (Index i = 0; i < std::min<Index>(n_splits, static_cast<Index>(widest.size())); ++i) {
        add_partition(made, given.soft.n_rows, [&](std::int32_t* labels) {
            return moves.split(widest[i], seed, labels);
        });
    }
    return as_array(made, given.soft.n_rows);
}

// Merge one of the first pairs, split one of the widest others: the most promising first.
Labels exchanged_partitions_py(handle r, handle weights, handle z, Index n_free, Index n_moves,
                               Index n_pairs, Index n_splits, std::uint64_t seed) {
    const SoftArguments given(r, weights, z, n_free);
    const Moves moves(given.soft);
    const std::vector<Index> widest = moves.widest();
    const auto pairs = moves.overlapping();
    struct Move {
        Index rank, i, j, k;
    };
    std::vector<Move> order;
    for (Index a = 0; a < std::min<Index>(n_pairs, static_cast<Index>(pairs.size())); ++a) {
        const auto [i, j] = pairs[a];
        Index b = 0;
        for (Index k : widest) {
            if (k == i || k == j) continue;
            if (b == n_splits) break;
            order.push_back({a + b++, i, j, k});
        }
    }
    std::sort(order.begin(), order.end(), [](const Move& x, const Move& y) {
        return std::tie(x.rank, x.i, x.j, x.k) < std::tie(y.rank, y.i, y.j, y.k);
    });
    std::vector<std::int32_t> made;
    for (Index m = 0; m < std::min<Index>(n_moves, static_cast<Index>(order.size())); ++m) {
        add_partition(made, given.soft.n_rows, [&](std::int32_t* labels) {
            return moves.merge_and_split(order[m].i, order[m].j, order[m].k, seed, labels);
        });
    }
    return as_array(made, given.soft.n_rows);
}

// Lists of partitions, end to end: which of each list are told apart from those before them.
nb::object told_apart_py(handle labels, handle n_groups, handle chosen, handle ends, double share) {
    const ArrayView labels_view(labels, "labels"), groups_view(n_groups, "n_groups");
    const ArrayView chosen_view(chosen, "chosen"), ends_view(ends, "ends");
    if (labels_view.n_dimensions() != 2) labels_view.refuse("must have 2 dimensions");
    if (chosen_view.n_dimensions() != 1) chosen_view.refuse("must have 1 dimension");
    if (ends_view.n_dimensions() != 1) ends_view.refuse("must have 1 dimension");
    const Index P = labels_view.size(0), n = labels_view.size(1);
    const Index count = chosen_view.size(0), n_lists = ends_view.size(0);
    auto* all = labels_view.contiguous<const std::int32_t>(Element::int32, "int32", {P, n});
    auto* groups = groups_view.contiguous<const std::int32_t>(Element::int32, "int32", {P});
    auto* list = chosen_view.contiguous<const std::int32_t>(Element::int32, "int32", {count});
    auto* end = ends_view.contiguous<const std::int32_t>(Element::int32, "int32", {n_lists});
    for (Index p = 0; p < P; ++p) {
        for (Index i = 0; i < n; ++i) {
            if (all[p * n + i] < 0 || all[p * n + i] >= groups[p]) refuse("labels must lie in 0 .. n_groups - 1");
        }
    }
    for (Index i = 0; i < count; ++i) {
        if (list[i] < 0 || list[i] >= P) refuse("chosen must name rows of labels");
    }
    if ((n_lists > 0 ? end[n_lists - 1] : 0) != count) refuse("ends must ascend up to the length of chosen");
    auto result = empty_array<bool>({std::size_t(count)});
    for (Index l = 0, first = 0; l < n_lists; first = end[l++]) {
        if (end[l] < first || end[l] > count) refuse("ends must ascend up to the length of chosen");
        const auto apart = told_apart(n, all, groups, list + first, end[l] - first, share * double(n));
        std::copy(apart.begin(), apart.end(), result.data() + first);
    }
    return nb::cast(result);
}

// Mixtures of runs by their records, end to end.
struct RecordArguments {
    ArrayView family_view, k_view, record_view;
    Index count;
    const std::int32_t *family, *k;
    std::vector<const double*> at;  // where each record begins

    RecordArguments(handle jobs_family, handle jobs_k, handle records, const FamilyArguments& families,
                    Index d)
        : family_view(jobs_family, "jobs_family"), k_view(jobs_k, "jobs_k"),
          record_view(records, "records") {
        if (k_view.n_dimensions() != 1) k_view.refuse("must have 1 dimension");
        count = k_view.size(0);
        k = k_view.contiguous<const std::int32_t>(Element::int32, "int32", {count});
        family = family_view.contiguous<const std::int32_t>(Element::int32, "int32", {count});
        const Index n_families = static_cast<Index>(families.families.size());
        std::vector<Index> first{0};
        for (Index j = 0; j < count; ++j) {
            if (k[j] < 1 || family[j] < 0 || family[j] >= n_families) {
                refuse("jobs must name families and K >= 1");
            }
            first.push_back(first.back() + record_size(*families.families[family[j]].shape, k[j], d));
        }
        auto* data = record_view.contiguous<const double>(Element::float64, "float64", {first.back()});
        for (Index j = 0; j < count; ++j) at.push_back(data + first[j]);
    }
};

// What the passes below need of the rules: no steps are made.
RunRules rules_of(const FamilyArguments& families, Index d) {
    return {families.families.data(), static_cast<Index>(families.families.size()), d, 0, 0, 1, 0, 1, false};
}

// Partitions of runs: labels, one array for all, and per run how many there are with one group more
// and with one fewer; those of a run stand together, the one with as many groups first.
nb::tuple partitions_of_runs_py(nb::list x, handle origins, handle weights, handle z_, nb::list families_,
                                handle jobs_family, handle jobs_k, handle records, handle splits,
                                handle merges, std::uint64_t seed, int n_threads) {
    const ViewArguments view(x, origins);
    const FamilyArguments families(families_, static_cast<Index>(view.views.size()), view.d);
    const RecordArguments jobs(jobs_family, jobs_k, records, families, view.d);
    const OptionalView weights_view(weights, "weights");
    const ArrayView z(z_, "Z"), split_view(splits, "splits"), merge_view(merges, "merges");
    if (z.n_dimensions() != 2) z.refuse("must have 2 dimensions");
    const Index n = view.n, n_space = z.size(1);
    const RunRows rows{view.views.data(), static_cast<Index>(view.views.size()),
                       weights_view.get<const double>(Element::float64, "float64", {n}), nullptr};
    auto* n_splits = split_view.contiguous<const std::int32_t>(Element::int32, "int32", {jobs.count});
    auto* n_merges = merge_view.contiguous<const std::int32_t>(Element::int32, "int32", {jobs.count});
    std::vector<Index> first{0};  // where the partitions of runs begin
    for (Index j = 0; j < jobs.count; ++j) {
        if (n_splits[j] < 0 || n_merges[j] < 0) refuse("splits and merges must not be negative");
        first.push_back(first.back() + 1 + n_splits[j] + n_merges[j]);
    }
    auto labels = empty_array<std::int32_t>({std::size_t(first.back()), std::size_t(n)});
    auto n_more = empty_array<std::int32_t>({std::size_t(jobs.count)});
    auto n_fewer = empty_array<std::int32_t>({std::size_t(jobs.count)});
    std::vector<TellingRun> runs;
    for (Index j = 0; j < jobs.count; ++j) {
        std::int32_t* own = labels.data() + first[j] * n;
        runs.push_back({jobs.family[j], jobs.k[j], jobs.at[j], n_splits[j], n_merges[j], own, own + n,
                        own + (1 + n_splits[j]) * n, n_more.data() + j, n_fewer.data() + j});
    }
    const RunRules rules = rules_of(families, view.d);
    const double* space = z.contiguous<const double>(Element::float64, "float64", {n, n_space});
    pass(n_threads, [&](const Execution& how) {
        partitions_of_runs(rules, rows, space, n_space, seed, runs.data(), jobs.count, how);
    });
    return nb::make_tuple(labels, n_more, n_fewer);
}

// (J, 3)
nb::object certainty_of_runs_py(nb::list x, handle origins, handle weights, nb::list families_,
                                handle jobs_family, handle jobs_k, handle records, int n_threads) {
    const ViewArguments view(x, origins);
    const FamilyArguments families(families_, static_cast<Index>(view.views.size()), view.d);
    const RecordArguments jobs(jobs_family, jobs_k, records, families, view.d);
    const OptionalView weights_view(weights, "weights");
    const RunRows rows{view.views.data(), static_cast<Index>(view.views.size()),
                       weights_view.get<const double>(Element::float64, "float64", {view.n}), nullptr};
    auto sums = empty_array<double>({std::size_t(jobs.count), 3});
    std::vector<CertainRun> runs;
    for (Index j = 0; j < jobs.count; ++j) {
        runs.push_back({jobs.family[j], jobs.k[j], jobs.at[j], sums.data() + 3 * j});
    }
    const RunRules rules = rules_of(families, view.d);
    pass(n_threads, [&](const Execution& how) {
        certainty_of_runs(rules, rows, runs.data(), jobs.count, how);
    });
    return nb::cast(sums);
}

}  // namespace

void bind_moves(nb::module_& m) {
    using nb::arg;
    m.def("split_partitions", split_partitions_py, arg("R"), arg("weights").none(), arg("Z"),
          arg("n_free"), arg("n_splits"), arg("seed"));
    m.def("exchanged_partitions", exchanged_partitions_py, arg("R"), arg("weights").none(), arg("Z"),
          arg("n_free"), arg("n_moves"), arg("n_pairs"), arg("n_splits"), arg("seed"));
    m.def("partitions_of_runs", partitions_of_runs_py, arg("X"), arg("origins"),
          arg("weights").none(), arg("Z"), arg("families"), arg("jobs_family"), arg("jobs_k"),
          arg("records"), arg("splits"), arg("merges"), arg("seed"), arg("n_threads"));
    m.def("told_apart", told_apart_py, arg("labels"), arg("n_groups"), arg("chosen"), arg("ends"),
          arg("share"));
    m.def("certainty_of_runs", certainty_of_runs_py, arg("X"), arg("origins"), arg("weights").none(),
          arg("families"), arg("jobs_family"), arg("jobs_k"), arg("records"), arg("n_threads"));
}

}  // namespace mixtura
