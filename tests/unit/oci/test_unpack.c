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

/* Each must be refused, and nothing may appear outside. */
static void nothing_leads_out_of_the_directory(void **state) {
        struct place *p = *state;
        AUTO(free) char *outside = xasprintf("%s/../outside", p->dir);
        for (int kind = 0; kind < 6; kind++) {
                AUTO(str) struct str text = STR_INIT(0);
                AUTO(err) struct err why = ERR_INIT;
                switch (kind) {
                case 0: tar_add(&text, '0', "../outside", NULL, 0644, SV("x")); break;
                case 1: tar_add(&text, '0', "a/../../outside", NULL, 0644, SV("x")); break;
                case 2: /* through a link to the parent directory */
                        tar_add(&text, '2', "up", "..", 0777, SV_NULL);
                        tar_add(&text, '0', "up/outside", NULL, 0644, SV("x"));
                        break;
                case 3: /* through an absolute one, deeper */
                        tar_add(&text, '5', "e", NULL, 0755, SV_NULL);
                        tar_add(&text, '2', "e/tmp", "/tmp", 0777, SV_NULL);
                        tar_add(&text, '0', "e/tmp/firesteel-outside", NULL, 0644, SV("x"));
                        break;
                case 4: tar_add(&text, '1', "hl", "../../etc/passwd", 0644, SV_NULL); break;
                default: /* a hard link through a link */
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
        } cases[] = {{"a/b", "a/b"}, {"./a//b/", "a/b"}, {"/a", "a"}, {".", ""}, {"/", ""}, {"..", NULL}, {"a/..", NULL}, {"a/../b", NULL}, {"...", "..."}, {"a/.b", "a/.b"}};
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
                cmocka_unit_test_setup_teardown(absolute_names_are_below_the_root, make_place, remove_place),
                cmocka_unit_test_setup_teardown(later_entries_replace_earlier_ones, make_place, remove_place),
                cmocka_unit_test_setup_teardown(whiteouts_are_overlayfs_own, make_place, remove_place),
                cmocka_unit_test_setup_teardown(layers_are_applied_without_overlay, make_place, remove_place),
                cmocka_unit_test(paths_are_cleaned),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
