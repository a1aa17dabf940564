#include "fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "oci/unpack.h"

struct place {
        char *dir;
        int fd;
};

static int make_place(void **state) {
        struct place *p = NEW(struct place);
        AUTO(free) char *top = temporary_directory();
        p->dir = fs_join(top, "root");
        assert_int_equal(mkdir(p->dir, 0755), 0);
        p->fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = p;
        return p->fd < 0;
}

static int remove_place(void **state) {
        struct place *p = *state;
        close(p->fd);
        *strrchr(p->dir, '/') = '\0';
        struct err why = ERR_INIT;
        int r = fs_remove_tree(p->dir, &why);
        free(p->dir);
        free(p);
        return r;
}

static int unpack(const struct place *p, struct str *text, enum unpack_mode mode, struct err *err) {
        struct memory m = {.rest = str_sv(text)};
        AUTO(tar) struct tar *t = tar_new(memory_read, &m);
        const struct unpack_options o = {.mode = mode, .squash_owners = getuid() != 0};
        return unpack_layer(t, p->fd, &o, err);
}

static char *text_of(const struct place *p, const char *name) {
        AUTO(free) char *path = fs_join(p->dir, name);
        AUTO(str) struct str text = STR_INIT(0);
        return fs_read(path, 0, &text, NULL) < 0 ? NULL : str_take(&text);
}

static void files_links_modes_and_times_are_kept(void **state) {
        struct place *p = *state;
        AUTO(str) struct str text = STR_INIT(0);
        struct stat st, hard;
        /* Nobody but root writes into a directory of mode 0555. */
        tar_add(&text, '5', "d", NULL, getuid() == 0 ? 0555 : 0755, SV_NULL);
        tar_add(&text, '0', "d/su", NULL, 04755, SV("x"));
        tar_add(&text, '1', "hard", "./d/su", 0, SV_NULL);
        tar_add(&text, '2', "abs", "/etc/passwd", 0777, SV_NULL);
        tar_add(&text, '0', "deep/er/file", NULL, 0600, SV("deep"));
        tar_end(&text);
        ok(unpack(p, &text, UNPACK_OVERLAY, err));
        assert_int_equal(fstatat(p->fd, "d/su", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mode & 07777, 04755);
        assert_int_equal(st.st_mtime, 1700000000);
        assert_int_equal(fstatat(p->fd, "hard", &hard, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(hard.st_ino, st.st_ino);
        assert_int_equal(fstatat(p->fd, "abs", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISLNK(st.st_mode));
        assert_int_equal(fstatat(p->fd, "d", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mtime, 1700000000);
        AUTO(free) char *deep = text_of(p, "deep/er/file");
        assert_string_equal(deep, "deep");
}

static int unpack_onto(const struct place *p, struct str *text, const int *lower, size_t count, struct err *err) {
        struct memory m = {.rest = str_sv(text)};
        AUTO(tar) struct tar *t = tar_new(memory_read, &m);
        const struct unpack_options o = {.mode = UNPACK_OVERLAY,
                                         .squash_owners = getuid() != 0,
                                         .is_in_user_namespace = getuid() != 0,
                                         .lower = lower,
                                         .lower_count = count};
        return unpack_layer(t, p->fd, &o, err);
}

/* A lower layer beside the place, from pairs "type, name, target". */
static int lower_layer(const struct place *p, const char *name, ...) {
        AUTO(free) char *dir = xasprintf("%s/../%s", p->dir, name);
        AUTO(str) struct str text = STR_INIT(0);
        va_list ap;
        va_start(ap, name);
        for (int type; (type = va_arg(ap, int));) {
                const char *entry = va_arg(ap, const char *), *target = va_arg(ap, const char *);
                tar_add(&text, (char)type, entry, target, 0755, type == '0' ? SV("lower") : SV_NULL);
        }
        va_end(ap);
        tar_end(&text);
        assert_int_equal(mkdir(dir, 0755), 0);
        struct place there = {.dir = dir, .fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        assert_true(there.fd >= 0);
        ok(unpack_onto(&there, &text, NULL, 0, err));
        return there.fd;
}

static bool is_there(const struct place *p, const char *name) { return faccessat(p->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

static void links_of_lower_layers_are_followed(void **state) {
        struct place *p = *state;
        AUTO(str) struct str text = STR_INIT(0);
        struct stat st;
        AUTO(fd) int bottom = lower_layer(p, "bottom", '5', "usr/bin", NULL, '5', "usr/lib", NULL, '5', "run", NULL, '5', "var", NULL, '0',
                                          "usr/bin/old", NULL, 0);
        AUTO(fd) int top = lower_layer(p, "top", '2', "bin", "usr/bin", '2', "var/run", "/run", '2', "usr/lib64", "../usr/./lib", '2',
                                       "lib64", "usr/lib64", 0);
        const int lower[] = {bottom, top};
        tar_add(&text, '0', "bin/tool", NULL, 0755, SV("tool"));
        tar_add(&text, '0', "bin/.wh.old", NULL, 0644, SV_NULL);
        tar_add(&text, '5', "var/run/app", NULL, 0755, SV_NULL);
        tar_add(&text, '0', "var/run/app/pid", NULL, 0644, SV("1"));
        tar_add(&text, '0', "lib64/deep/libx", NULL, 0644, SV("x"));
        tar_add(&text, '1', "hard", "bin/tool", 0, SV_NULL);
        tar_end(&text);
        ok(unpack_onto(p, &text, lower, 2, err));
        AUTO(free) char *tool = text_of(p, "usr/bin/tool"), *pid = text_of(p, "run/app/pid"), *libx = text_of(p, "usr/lib/deep/libx"),
                        *hard = text_of(p, "hard");
        assert_string_equal(tool, "tool");
        assert_string_equal(pid, "1");
        assert_string_equal(libx, "x");
        assert_string_equal(hard, "tool");
        assert_int_equal(fstatat(p->fd, "usr/bin/old", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISCHR(st.st_mode));
        /* The links themselves are not of this layer. */
        assert_false(is_there(p, "bin") || is_there(p, "lib64") || is_there(p, "usr/lib64"));
        assert_int_equal(fstatat(p->fd, "run/app", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mtime, 1700000000);
}

static void links_that_upper_layers_hide_are_not_followed(void **state) {
        struct place *p = *state;
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(fd) int bottom =
                lower_layer(p, "bottom", '2', "gone", "usr", '2', "was", "usr", '2', "d/hidden", "../usr", '5', "usr", NULL, 0);
        AUTO(fd) int top = lower_layer(p, "top", '0', ".wh.gone", NULL, '5', "was", NULL, '5', "d", NULL, '0', "d/.wh..wh..opq", NULL, 0);
        const int lower[] = {bottom, top};
        tar_add(&text, '0', "gone/a", NULL, 0644, SV("a"));
        tar_add(&text, '0', "was/b", NULL, 0644, SV("b"));
        tar_add(&text, '0', "d/hidden/c", NULL, 0644, SV("c"));
        tar_end(&text);
        ok(unpack_onto(p, &text, lower, 2, err));
        AUTO(free) char *a = text_of(p, "gone/a"), *b = text_of(p, "was/b"), *c = text_of(p, "d/hidden/c");
        assert_string_equal(a, "a");
        assert_string_equal(b, "b");
        assert_string_equal(c, "c");
        assert_false(is_there(p, "usr"));
}

static void an_entry_of_the_link_itself_replaces_it(void **state) {
        struct place *p = *state;
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(fd) int bottom = lower_layer(p, "bottom", '5', "usr/bin", NULL, '2', "bin", "usr/bin", 0);
        tar_add(&text, '5', "bin", NULL, 0755, SV_NULL);
        tar_add(&text, '0', "bin/tool", NULL, 0755, SV("mine"));
        tar_end(&text);
        ok(unpack_onto(p, &text, &bottom, 1, err));
        struct stat st;
        assert_int_equal(fstatat(p->fd, "bin", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISDIR(st.st_mode));
        assert_false(is_there(p, "usr"));
}

/* Links that lead in circles or to nothing but files; and links that would leave a root that is not the image's. */
static void hostile_links_stay_inside_or_are_refused(void **state) {
        struct place *p = *state;
        AUTO(free) char *outside = xasprintf("%s/../outside", p->dir);
        static const struct {
                const char *link, *target, *file, *found; /* found NULL: refused */
        } cases[] = {
                {"up", "..", "up/outside", "outside"},
                {"ups", "../../../../../../../..", "ups/tmp/firesteel-outside", "tmp/firesteel-outside"},
                {"tmp2", "/tmp", "tmp2/firesteel-outside2", "tmp/firesteel-outside2"},
                {"mixed", "/a/../../b/./c//../d", "mixed/f", "b/d/f"},
                {"proc", "/proc/self/root/tmp", "proc/f", "proc/self/root/tmp/f"},
                {"loop", "loop", "loop/f", NULL},
                {"loop2", "./loop2/x", "loop2/f", NULL},
                {"file", "plain", "file/f", NULL},
                {"dots", "...", "dots/f", ".../f"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                for (int from_below = 0; from_below < 2; from_below++) {
                        AUTO(str) struct str text = STR_INIT(0);
                        AUTO(err) struct err why = ERR_INIT;
                        AUTO(free) char *name = xasprintf("lower%zu%d", i, from_below);
                        AUTO(fd) int below = lower_layer(p, name, '0', "plain", NULL, from_below ? '2' : '5',
                                                         from_below ? cases[i].link : "unused", cases[i].target, 0);
                        if (!from_below)
                                tar_add(&text, '2', cases[i].link, cases[i].target, 0777, SV_NULL);
                        tar_add(&text, '0', cases[i].file, NULL, 0644, SV("in"));
                        tar_end(&text);
                        int r = unpack_onto(p, &text, &below, 1, &why);
                        /* Where the link itself is "proc", its target goes through it again: a circle. */
                        bool is_circle = streq(cases[i].link, "proc");
                        if (cases[i].found && !is_circle) {
                                if (r < 0)
                                        fail_msg("%s -> %s: %s", cases[i].link, cases[i].target, err_message(&why));
                                AUTO(free) char *in = text_of(p, cases[i].found);
                                assert_string_equal(in, "in");
                        } else if (r >= 0) {
                                fail_msg("%s -> %s was followed", cases[i].link, cases[i].target);
                        }
                        assert_int_not_equal(access(outside, F_OK), 0);
                        assert_int_not_equal(access("/tmp/firesteel-outside", F_OK), 0);
                        assert_int_not_equal(access("/tmp/firesteel-outside2", F_OK), 0);
                        /* Everything anew for the next. */
                        close(p->fd);
                        ok(fs_remove_tree(p->dir, err));
                        assert_int_equal(mkdir(p->dir, 0755), 0);
                        p->fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                        assert_true(p->fd >= 0);
                }
}

static void a_long_chain_of_links_is_refused(void **state) {
        struct place *p = *state;
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(err) struct err why = ERR_INIT;
        for (int i = 0; i <= UNPACK_MAX_LINKS; i++) {
                char name[16], target[16];
                snprintf(name, sizeof name, "l%d", i);
                snprintf(target, sizeof target, "l%d", i + 1);
                tar_add(&text, '2', name, target, 0777, SV_NULL);
        }
        tar_add(&text, '0', "l1/fits", NULL, 0644, SV("x"));
        tar_add(&text, '0', "l0/toolong", NULL, 0644, SV("x"));
        tar_end(&text);
        assert_int_equal(unpack_onto(p, &text, NULL, 0, &why), -ELOOP);
        AUTO(free) char *last = xasprintf("l%d/fits", UNPACK_MAX_LINKS + 1);
        assert_true(is_there(p, last));
}

static void links_are_followed_without_overlay_too(void **state) {
        struct place *p = *state;
        AUTO(str) struct str first = STR_INIT(0);
        AUTO(str) struct str second = STR_INIT(0);
        tar_add(&first, '0', "usr/bin/old", NULL, 0644, SV("1"));
        tar_add(&first, '0', "usr/bin/older", NULL, 0644, SV("1"));
        tar_add(&first, '2', "bin", "usr/bin", 0777, SV_NULL);
        tar_end(&first);
        tar_add(&second, '0', "bin/new", NULL, 0644, SV("2"));
        tar_add(&second, '0', "bin/.wh..wh..opq", NULL, 0644, SV_NULL);
        tar_end(&second);
        ok(unpack(p, &first, UNPACK_APPLY, err));
        ok(unpack(p, &second, UNPACK_APPLY, err));
        AUTO(free) char *fresh = text_of(p, "usr/bin/new");
        assert_string_equal(fresh, "2");
        assert_false(is_there(p, "usr/bin/old") || is_there(p, "usr/bin/older"));
        assert_true(is_there(p, "bin"));
}

/* Each must be refused, and nothing may appear outside. */
static void nothing_leads_out_of_the_directory(void **state) {
        struct place *p = *state;
        AUTO(free) char *outside = xasprintf("%s/../outside", p->dir);
        for (int kind = 0; kind < 4; kind++) {
                AUTO(str) struct str text = STR_INIT(0);
                AUTO(err) struct err why = ERR_INIT;
                switch (kind) {
                case 0: tar_add(&text, '0', "../outside", NULL, 0644, SV("x")); break;
                case 1: tar_add(&text, '0', "a/../../outside", NULL, 0644, SV("x")); break;
                case 2: tar_add(&text, '1', "hl", "../../etc/passwd", 0644, SV_NULL); break;
                default: /* a hard link through a link: there is no such file in the image */
                        tar_add(&text, '2', "etc", "/etc", 0777, SV_NULL);
                        tar_add(&text, '1', "shadow", "etc/passwd", 0644, SV_NULL);
                        break;
                }
                tar_end(&text);
                if (unpack(p, &text, UNPACK_OVERLAY, &why) >= 0)
                        fail_msg("case %d was unpacked", kind);
                assert_int_not_equal(access(outside, F_OK), 0);
                assert_int_not_equal(access("/tmp/firesteel-outside", F_OK), 0);
                assert_int_not_equal(faccessat(p->fd, "shadow", F_OK, AT_SYMLINK_NOFOLLOW), 0);
        }
}

static void absolute_names_are_below_the_root(void **state) {
        struct place *p = *state;
        AUTO(str) struct str text = STR_INIT(0);
        tar_add(&text, '0', "/abs", NULL, 0644, SV("in"));
        tar_end(&text);
        ok(unpack(p, &text, UNPACK_OVERLAY, err));
        AUTO(free) char *in = text_of(p, "abs");
        assert_string_equal(in, "in");
}

/* A link is replaced, not written through. */
static void later_entries_replace_earlier_ones(void **state) {
        struct place *p = *state;
        AUTO(str) struct str text = STR_INIT(0);
        struct stat st;
        tar_add(&text, '0', "victim", NULL, 0644, SV("untouched"));
        tar_add(&text, '2', "x", "victim", 0777, SV_NULL);
        tar_add(&text, '0', "x", NULL, 0644, SV("new"));
        tar_add(&text, '5', "y", NULL, 0755, SV_NULL);
        tar_add(&text, '0', "y/inner", NULL, 0644, SV("i"));
        tar_add(&text, '0', "y", NULL, 0644, SV("file now"));
        tar_end(&text);
        ok(unpack(p, &text, UNPACK_OVERLAY, err));
        AUTO(free) char *victim = text_of(p, "victim"), *y = text_of(p, "y");
        assert_string_equal(victim, "untouched");
        assert_string_equal(y, "file now");
        assert_int_equal(fstatat(p->fd, "x", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISREG(st.st_mode));
}

static void whiteouts_are_overlayfs_own(void **state) {
        struct place *p = *state;
        AUTO(str) struct str text = STR_INIT(0);
        struct stat st;
        tar_add(&text, '0', "d/.wh.gone", NULL, 0644, SV_NULL);
        tar_add(&text, '0', ".wh..wh.plnk", NULL, 0644, SV_NULL);
        tar_end(&text);
        ok(unpack(p, &text, UNPACK_OVERLAY, err));
        assert_int_equal(fstatat(p->fd, "d/gone", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
        assert_int_not_equal(faccessat(p->fd, ".wh..wh.plnk", F_OK, 0), 0);
}

static void layers_are_applied_without_overlay(void **state) {
        struct place *p = *state;
        AUTO(str) struct str first = STR_INIT(0);
        AUTO(str) struct str second = STR_INIT(0);
        tar_add(&first, '0', "a", NULL, 0644, SV("1"));
        tar_add(&first, '0', "d/old", NULL, 0644, SV("1"));
        tar_add(&first, '0', "d/sub/old", NULL, 0644, SV("1"));
        tar_end(&first);
        tar_add(&second, '0', ".wh.a", NULL, 0644, SV_NULL);
        tar_add(&second, '0', "d/new", NULL, 0644, SV("2"));
        tar_add(&second, '0', "d/.wh..wh..opq", NULL, 0644, SV_NULL);
        tar_end(&second);
        ok(unpack(p, &first, UNPACK_APPLY, err));
        ok(unpack(p, &second, UNPACK_APPLY, err));
        assert_int_not_equal(faccessat(p->fd, "a", F_OK, 0), 0);
        assert_int_not_equal(faccessat(p->fd, "d/old", F_OK, 0), 0);
        assert_int_not_equal(faccessat(p->fd, "d/sub", F_OK, 0), 0);
        AUTO(free) char *fresh = text_of(p, "d/new");
        assert_string_equal(fresh, "2");
}

static void paths_are_cleaned(void **state) {
        static const struct {
                const char *name, *clean;
        } cases[] = {{"a/b", "a/b"}, {"./a//b/", "a/b"}, {"/a", "a"},      {".", ""},      {"/", ""},
                     {"..", NULL},   {"a/..", NULL},     {"a/../b", NULL}, {"...", "..."}, {"a/.b", "a/.b"}};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(free) char *clean = unpack_clean_path(cases[i].name);
                if (!streq_null(clean, cases[i].clean))
                        fail_msg("%s gives %s", cases[i].name, clean ? clean : "(nothing)");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(files_links_modes_and_times_are_kept, make_place, remove_place),
                cmocka_unit_test_setup_teardown(nothing_leads_out_of_the_directory, make_place, remove_place),
                cmocka_unit_test_setup_teardown(links_of_lower_layers_are_followed, make_place, remove_place),
                cmocka_unit_test_setup_teardown(links_that_upper_layers_hide_are_not_followed, make_place, remove_place),
                cmocka_unit_test_setup_teardown(an_entry_of_the_link_itself_replaces_it, make_place, remove_place),
                cmocka_unit_test_setup_teardown(hostile_links_stay_inside_or_are_refused, make_place, remove_place),
                cmocka_unit_test_setup_teardown(a_long_chain_of_links_is_refused, make_place, remove_place),
                cmocka_unit_test_setup_teardown(links_are_followed_without_overlay_too, make_place, remove_place),
                cmocka_unit_test_setup_teardown(absolute_names_are_below_the_root, make_place, remove_place),
                cmocka_unit_test_setup_teardown(later_entries_replace_earlier_ones, make_place, remove_place),
                cmocka_unit_test_setup_teardown(whiteouts_are_overlayfs_own, make_place, remove_place),
                cmocka_unit_test_setup_teardown(layers_are_applied_without_overlay, make_place, remove_place),
                cmocka_unit_test(paths_are_cleaned),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
