#include "cluster/kinds/rules.h"

#include "base/str.h"

char *rule_member(const char *path, const char *key) { return xasprintf("%s.%s", path, key); }

const char *rule_str(yyjson_val *object, const char *key) {
        const char *value = json_get_str(object, key);
        return value ? value : "";
}

bool rule_has(yyjson_val *object, const char *key) { return *rule_str(object, key) != '\0'; }

bool rule_required(yyjson_val *object, const char *key, const char *path, struct invalid *bad) {
        if (rule_has(object, key))
                return true;
        AT("%s.%s", path, key);
        invalid_required(bad, at, NULL);
        return false;
}

void rule_supported(yyjson_val *object, const char *key, const char *path, const char *const *supported, struct invalid *bad) {
        const char *value = json_get_str(object, key);
        if (!value)
                return;
        AT("%s.%s", path, key);
        value_supported(value, at, supported, bad);
}

void rule_name(yyjson_val *object, const char *key, const char *path, name_check_fn *check, struct invalid *bad) {
        if (!rule_has(object, key))
                return;
        AT("%s.%s", path, key);
        value_name(check, rule_str(object, key), at, bad);
}

void rule_range(yyjson_val *object, const char *key, const char *path, int64_t low, int64_t high, struct invalid *bad) {
        int64_t value = json_get_int(object, key, low);
        AT("%s.%s", path, key);
        if (value < low || value > high)
                invalid_int(bad, at, value, "must be between %lld and %lld, inclusive", (long long)low, (long long)high);
}

void rule_not_negative(yyjson_val *object, const char *key, const char *path, struct invalid *bad) {
        AT("%s.%s", path, key);
        value_nonnegative(json_get_int(object, key, 0), at, bad);
}

void rule_file_mode(yyjson_val *object, const char *key, const char *path, struct invalid *bad) {
        int64_t value = json_get_int(object, key, 0);
        AT("%s.%s", path, key);
        if (value < 0 || value > 0777)
                invalid_int(bad, at, value, "must be a number between 0 and 0777 (octal), both inclusive");
}

void rule_port(yyjson_val *object, const char *key, const char *path, struct invalid *bad) {
        AT("%s.%s", path, key);
        if (json_get_str(object, key))
                value_name(name_check_port_name, json_get_str(object, key), at, bad);
        else
                value_port(json_get_int(object, key, 0), at, bad);
}

static bool has_backstep(const char *text) {
        struct sv rest = sv_of(text), part;
        while (sv_split(&rest, '/', &part))
                if (sv_eqs(part, ".."))
                        return true;
        return false;
}

void rule_no_backsteps(const char *text, const char *path, struct invalid *bad) {
        if (has_backstep(text))
                invalid_string(bad, path, text, "must not contain '..'");
}

void rule_descending_path(const char *text, const char *path, struct invalid *bad) {
        if (*text == '/')
                invalid_string(bad, path, text, "must be a relative path");
        rule_no_backsteps(text, path, bad);
}

void rule_local_path(const char *text, const char *path, struct invalid *bad) {
        rule_descending_path(text, path, bad);
        if (str_starts(text, "..") && !str_starts(text, "../"))
                invalid_string(bad, path, text, "must not start with '..'");
}
