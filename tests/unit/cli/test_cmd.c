#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cmd.h"

static void finds_nested_commands_and_stops_at_arguments(void **state) {
        int used;
        char *words[] = {(char *)"completion", (char *)"bash"};
        assert_ptr_equal(cmd_find(&cmd_root, words, 2, &used), &cmd_completion);
        assert_int_equal(used, 1);
        char *none[] = {(char *)"nonsense"};
        assert_ptr_equal(cmd_find(&cmd_root, none, 1, &used), &cmd_root);
        assert_int_equal(used, 0);
}

static void check_table(const struct cmd *c) {
        assert_non_null(c->name);
        assert_non_null(c->summary);
        if (!c->run && !c->subs)
                fail_msg("%s does nothing", c->name);
        if (c->run && c->subs && c->max_args != 0)
                fail_msg("%s: an argument could be taken for a command", c->name);
        assert_true(c->max_args < 0 || c->max_args >= c->min_args);
        if (c->max_args != 0)
                assert_non_null(c->args);
        if (!c->hidden && c->summary[strlen(c->summary) - 1] == '.')
                fail_msg("%s: a summary has no full stop", c->name);
        for (const struct option *o = c->options; o && o->name; o++) {
                assert_non_null(o->help);
                if (o->type != OPTION_SWITCH && !o->value)
                        fail_msg("%s --%s: what is the value called?", c->name, o->name);
                if ((o->type == OPTION_CHOICE) != (o->choices != NULL))
                        fail_msg("%s --%s: choices and type disagree", c->name, o->name);
                for (const struct option *p = o + 1; p->name; p++)
                        if (streq(p->name, o->name) || (o->letter && p->letter == o->letter))
                                fail_msg("%s: --%s and --%s clash", c->name, o->name, p->name);
                if (streq(o->name, "help") || o->letter == 'h')
                        fail_msg("%s: --help is everybody's", c->name);
        }
        /* Defaults must themselves be accepted. */
        AUTO(options) struct options o = {0};
        AUTO(err) struct err err = ERR_INIT;
        if (option_parse(c->options, 0, NULL, false, &o, &err) < 0)
                fail_msg("%s: %s", c->name, err_message(&err));
        for (size_t i = 0; c->subs && c->subs[i]; i++)
                check_table(c->subs[i]);
}

static void every_command_table_is_sound(void **state) { check_table(&cmd_root); }

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds_nested_commands_and_stops_at_arguments),
                cmocka_unit_test(every_command_table_is_sound),
        };
        return cmocka_run_group_tests_name("cli/cmd", tests, NULL, NULL);
}
