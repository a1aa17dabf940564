/* Cached RDDs: which partitions lie where, by block updates. */
#include "spark/eventlog-internal.h"

/* StorageLevel.description. */
static struct am_str level_text(struct eventlog *e, bool disk, bool memory, bool off_heap, bool deserialized, int64_t replication) {
        AUTO(str) struct str s = STR_INIT(0);
        str_append_s(&s, disk ? "Disk " : "");
        if (memory)
                str_append_s(&s, off_heap ? "Memory (off heap) " : "Memory ");
        str_append_s(&s, deserialized ? "Deserialized " : "Serialized ");
        str_appendf(&s, "%lldx Replicated", (long long)replication);
        return intern(e, str_sv(&s));
}

struct level {
        bool disk, memory, off_heap, deserialized, is_valid;
        int32_t replication;
};

static struct level level_of(yyjson_val *v) {
        struct level l = {.disk = json_get_bool(v, "Use Disk", false),
                          .memory = json_get_bool(v, "Use Memory", false),
                          .off_heap = json_get_bool(v, "Use Off Heap", false),
                          .deserialized = json_get_bool(v, "Deserialized", false),
                          .replication = (int32_t)json_get_int(v, "Replication", 1)};
        l.is_valid = (l.memory || l.disk) && l.replication > 0;
        return l;
}

void storage_stage_submitted(struct eventlog *e, yyjson_val *rdd_infos) {
        size_t i, max;
        yyjson_val *info;
        if (!yyjson_is_arr(rdd_infos))
                return;
        yyjson_arr_foreach(rdd_infos, i, max, info) {
                struct level l = level_of(yyjson_obj_get(info, "Storage Level"));
                int32_t id = (int32_t)json_get_int(info, "RDD ID", 0);
                if (!l.is_valid || idmap_get(&e->rdds, (uint32_t)id))
                        continue;
                struct rdd *r = NEW(struct rdd);
                *r = (struct rdd){.id = id,
                                  .num_partitions = (int32_t)json_get_int(info, "Number of Partitions", 0),
                                  .use_disk = l.disk,
                                  .use_memory = l.memory,
                                  .off_heap = l.off_heap,
                                  .deserialized = l.deserialized,
                                  .replication = l.replication,
                                  .table_size = 16};
                r->name = intern_member(e, info, "Name");
                idmap_set(&e->rdds, (uint32_t)id, r);
        }
}

static void rdd_free(struct rdd *r) {
        vec_foreach(p, &r->partitions) {
                vec_done(&(*p)->executors);
                free(*p);
        }
        vec_foreach(d, &r->distributions) free(*d);
        vec_done(&r->partitions);
        vec_done(&r->distributions);
        idmap_done(&r->by_block);
        free(r);
}

static struct rdd_distribution *distribution_of(struct rdd *r, struct am_str executor) {
        vec_foreach(d, &r->distributions) {
                if (str_key((*d)->executor_id) == str_key(executor))
                        return *d;
        }
        return NULL;
}

static bool remove_distribution(struct rdd *r, struct am_str executor) {
        for (size_t i = 0; i < r->distributions.len; i++) {
                if (str_key(r->distributions.items[i]->executor_id) != str_key(executor))
                        continue;
                free(r->distributions.items[i]);
                vec_remove(&r->distributions, i);
                return true;
        }
        return false;
}

/* What storing the RDD does to its distributions: those that changed are shown anew, with what is free by now. */
static void refresh(struct rdd *r) {
        vec_foreach(p, &r->distributions) {
                struct rdd_distribution *d = *p;
                if (d->is_fresh)
                        continue;
                const struct am_executor *x = &d->executor->out;
                bool known = x->total_on_heap >= 0;
                d->is_fresh = true;
                d->out = (struct am_rdd_distribution){
                        .address = x->host_port.off != UINT32_MAX ? x->host_port : x->host,
                        .memory_used = d->memory_used,
                        .memory_remaining = x->max_memory - x->memory_used,
                        .disk_used = d->disk_used,
                        .on_heap_used = known ? d->on_heap_used : AM_NONE,
                        .off_heap_used = known ? d->off_heap_used : AM_NONE,
                        .on_heap_remaining = known ? x->total_on_heap - x->used_on_heap : AM_NONE,
                        .off_heap_remaining = known ? x->total_off_heap - x->used_off_heap : AM_NONE,
                };
        }
}

void on_unpersist(struct eventlog *e, yyjson_val *v) {
        struct rdd *r = idmap_remove(&e->rdds, (uint32_t)(int32_t)json_get_int(v, "RDD ID", 0));
        if (!r)
                return;
        vec_foreach(p, &r->partitions) {
                vec_foreach(id, &(*p)->executors) {
                        struct executor *x = live_executor(e, *id);
                        if (x)
                                x->out.rdd_blocks--;
                }
        }
        vec_foreach(d, &r->distributions) {
                struct executor *x = live_executor(e, (*d)->executor_id);
                if (!x)
                        continue;
                if (x->out.total_on_heap >= 0) {
                        if (r->off_heap)
                                x->out.used_off_heap = add_delta(x->out.used_off_heap, -(*d)->off_heap_used);
                        else
                                x->out.used_on_heap = add_delta(x->out.used_on_heap, -(*d)->on_heap_used);
                }
                x->out.memory_used = add_delta(x->out.memory_used, -(*d)->memory_used);
                x->out.disk_used = add_delta(x->out.disk_used, -(*d)->disk_used);
        }
        rdd_free(r);
}

static void drop_partition(struct rdd *r, size_t at) {
        idmap_remove(&r->by_block, str_key(r->partitions.items[at]->block));
        vec_done(&r->partitions.items[at]->executors);
        free(r->partitions.items[at]);
        vec_remove(&r->partitions, at);
}

void storage_executor_removed(struct eventlog *e, struct executor *x) {
        idmap_foreach(s, &e->rdds) {
                struct rdd *r = s->value;
                remove_distribution(r, x->out.id);
        }
        idmap_foreach(s, &e->rdds) {
                struct rdd *r = s->value;
                for (size_t i = r->partitions.len; i-- > 0;) {
                        struct rdd_partition *p = r->partitions.items[i];
                        int64_t n = (int64_t)p->executors.len;
                        size_t at = 0;
                        while (at < p->executors.len && str_key(p->executors.items[at]) != str_key(x->out.id))
                                at++;
                        if (at == p->executors.len)
                                continue;
                        r->memory_used = add_delta(r->memory_used, -(p->memory_used / n));
                        r->disk_used = add_delta(r->disk_used, -(p->disk_used / n));
                        if (n == 1) {
                                drop_partition(r, i);
                                continue;
                        }
                        vec_remove(&p->executors, at);
                        p->memory_used = add_delta(p->memory_used, -(p->memory_used / n));
                        p->disk_used = add_delta(p->disk_used, -(p->disk_used / n));
                }
                refresh(r);
        }
}

static void use_memory(struct executor *x, const struct level *l, int64_t memory, int64_t disk) {
        if (x->out.total_on_heap >= 0) {
                if (l->off_heap)
                        x->out.used_off_heap = add_delta(x->out.used_off_heap, memory);
                else
                        x->out.used_on_heap = add_delta(x->out.used_on_heap, memory);
        }
        x->out.memory_used = add_delta(x->out.memory_used, memory);
        x->out.disk_used = add_delta(x->out.disk_used, disk);
}

/* Adds or removes the executor among a partition's: +1, -1 or 0 blocks; a partition nowhere stored goes. */
static int update_partition(struct rdd *r, struct am_str block, struct am_str executor, const struct level *l, int64_t memory,
                            int64_t disk) {
        struct rdd_partition *p = idmap_get(&r->by_block, str_key(block));
        if (!p) {
                p = NEW(struct rdd_partition);
                p->block = block;
                *vec_push(&r->partitions) = p;
                idmap_set(&r->by_block, str_key(block), p);
        }
        size_t k = 0;
        while (k < p->executors.len && str_key(p->executors.items[k]) != str_key(executor))
                k++;
        int blocks = 0;
        if (l->is_valid && k == p->executors.len) {
                *vec_push(&p->executors) = executor;
                blocks = 1;
        } else if (!l->is_valid) {
                blocks = -1;
                if (k < p->executors.len)
                        vec_remove(&p->executors, k);
        }
        if (p->executors.len == 0) {
                size_t at = r->partitions.len - 1;
                while (r->partitions.items[at] != p)
                        at--;
                drop_partition(r, at);
        } else {
                p->memory_used = add_delta(p->memory_used, memory);
                p->disk_used = add_delta(p->disk_used, disk);
        }
        return blocks;
}

static void update_distribution(struct rdd *r, struct executor *x, const struct level *l, int64_t memory, int64_t disk) {
        struct rdd_distribution *d = distribution_of(r, x->out.id);
        if (!d) {
                /* scala.collection.mutable.HashMap doubles at three quarters */
                if ((r->distributions.len + 1) * 4 >= r->table_size * 3)
                        r->table_size *= 2;
                d = NEW(struct rdd_distribution);
                d->executor = x;
                d->executor_id = x->out.id;
                *vec_push(&r->distributions) = d;
        }
        d->memory_used = add_delta(d->memory_used, memory);
        d->disk_used = add_delta(d->disk_used, disk);
        if (x->out.total_on_heap >= 0) {
                if (l->off_heap)
                        d->off_heap_used = add_delta(d->off_heap_used, memory);
                else
                        d->on_heap_used = add_delta(d->on_heap_used, memory);
        }
        d->is_fresh = false;
}

static void update_rdd_block(struct eventlog *e, struct rdd *r, struct am_str block, struct am_str executor, const struct level *l,
                             int64_t memory, int64_t disk) {
        struct executor *x = live_executor(e, executor);
        if (x)
                use_memory(x, l, memory, disk);
        int blocks = 0;
        if (r) {
                blocks = update_partition(r, block, executor, l, memory, disk);
                if (x && x->out.rdd_blocks + blocks > 0)
                        update_distribution(r, x, l, memory, disk);
                else if (x)
                        remove_distribution(r, executor);
                if (x)
                        idmap_foreach(s, &e->rdds) { /* their free memory changed too */
                                struct rdd *other = s->value;
                                struct rdd_distribution *d = other != r ? distribution_of(other, executor) : NULL;
                                if (d) {
                                        d->is_fresh = false;
                                        refresh(other);
                                }
                        }
                r->memory_used = add_delta(r->memory_used, memory);
                r->disk_used = add_delta(r->disk_used, disk);
                refresh(r);
        }
        if (x)
                x->out.rdd_blocks += blocks;
}

/* "rdd_<id>_<partition>"; false for other blocks. */
static bool rdd_of_block(struct sv block, int64_t *ret) {
        if (!sv_starts(block, SV("rdd_")))
                return false;
        struct sv rest = sv_new(block.data + 4, block.len - 4);
        ssize_t bar = sv_find_char(rest, '_');
        return bar > 0 && sv_to_int64(sv_new(rest.data, (size_t)bar), ret);
}

void on_block_updated(struct eventlog *e, yyjson_val *v) {
        yyjson_val *info = yyjson_obj_get(v, "Block Updated Info");
        struct level l = level_of(yyjson_obj_get(info, "Storage Level"));
        int64_t memory = json_get_int(info, "Memory Size", 0), disk = json_get_int(info, "Disk Size", 0);
        memory = l.memory ? memory : -memory;
        disk = l.disk ? disk : -disk;
        struct am_str executor = intern_member(e, yyjson_obj_get(info, "Block Manager ID"), "Executor ID");
        struct sv block = sv_of(json_get_str(info, "Block ID"));
        int64_t id;
        if (rdd_of_block(block, &id)) {
                struct rdd *r = id >= INT32_MIN && id <= INT32_MAX ? idmap_get(&e->rdds, (uint32_t)(int32_t)id) : NULL;
                update_rdd_block(e, r, intern(e, block), executor, &l, memory, disk);
        } else if (sv_starts(block, SV("broadcast_"))) {
                struct executor *x = live_executor(e, executor);
                if (x)
                        use_memory(x, &l, memory, disk);
        }
}

/* ---- finishing ---- */

struct hashed {
        struct rdd_distribution *d;
        uint32_t hash;
        size_t table;
};

static int by_bucket(const void *a, const void *b) {
        const struct hashed *x = a, *y = b;
        size_t i = x->hash & (x->table - 1), k = y->hash & (y->table - 1);
        if (i != k)
                return i < k ? -1 : 1;
        return (int32_t)x->hash < (int32_t)y->hash ? -1 : (int32_t)x->hash > (int32_t)y->hash;
}

/* Distributions in the order of Scala's hash map by executor id. */
static struct am_range write_distributions(struct eventlog *e, struct rdd *r) {
        struct am_range range = {(uint32_t)e->w.rdd_distributions.len, (uint32_t)r->distributions.len};
        VEC(struct hashed) list = {0};
        vec_foreach(d, &r->distributions) {
                struct sv id = am_writer_sv(&e->w, (*d)->executor_id);
                uint32_t h = 0;
                for (size_t i = 0; i < id.len; i++)
                        h = h * 31 + (unsigned char)id.data[i];
                *vec_push(&list) = (struct hashed){*d, h ^ h >> 16, r->table_size};
        }
        if (list.len > 1)
                qsort(list.items, list.len, sizeof(*list.items), by_bucket);
        vec_foreach(h, &list) *vec_push(&e->w.rdd_distributions) = h->d->out;
        vec_done(&list);
        return range;
}

static struct am_range write_partitions(struct eventlog *e, struct rdd *r) {
        struct am_range range = {(uint32_t)e->w.rdd_partitions.len, (uint32_t)r->partitions.len};
        vec_foreach(it, &r->partitions) {
                struct rdd_partition *p = *it;
                struct am_rdd_partition out = {.block = p->block, .memory_used = p->memory_used, .disk_used = p->disk_used};
                out.level = level_text(e, p->disk_used > 0, p->memory_used > 0, r->off_heap, p->memory_used > 0 && r->deserialized,
                                       (int64_t)p->executors.len);
                out.executors = (struct am_range){(uint32_t)e->w.strings.len, (uint32_t)p->executors.len};
                vec_foreach(x, &p->executors) *vec_push(&e->w.strings) = *x;
                *vec_push(&e->w.rdd_partitions) = out;
        }
        return range;
}

static int rdd_by_id(const void *a, const void *b) {
        int32_t x = ((const struct am_rdd *)a)->id, y = ((const struct am_rdd *)b)->id;
        return (x > y) - (x < y);
}

void storage_finish(struct eventlog *e) {
        idmap_foreach(s, &e->rdds) {
                struct rdd *r = s->value;
                refresh(r);
                struct am_rdd out = {.id = r->id,
                                     .num_partitions = r->num_partitions,
                                     .name = r->name,
                                     .memory_used = r->memory_used,
                                     .disk_used = r->disk_used};
                out.level = level_text(e, r->use_disk, r->use_memory, r->off_heap, r->deserialized, r->replication);
                out.distributions = write_distributions(e, r);
                out.partitions = write_partitions(e, r);
                *vec_push(&e->w.rdds) = out;
        }
        if (e->w.rdds.len > 1)
                qsort(e->w.rdds.items, e->w.rdds.len, sizeof(*e->w.rdds.items), rdd_by_id);
}

void storage_free(struct eventlog *e) {
        idmap_foreach(s, &e->rdds) rdd_free(s->value);
        idmap_done(&e->rdds);
}
