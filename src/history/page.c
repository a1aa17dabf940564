#include "codec/ktime.h"
#include "history/page-internal.h"
#include "spark/jformat.h"

static const char style[] =
        ":root{--fg:#1c2430;--soft:#667085;--line:#e4e7ec;--bg:#f7f8fa;--card:#fff;--accent:#c2410c;--ok:#15803d;--bad:#b91c1c;--run:#1d4ed8;--warn:#a16207}"
        "@media(prefers-color-scheme:dark){:root{--fg:#e6e9ef;--soft:#98a2b3;--line:#2b3240;--bg:#12161d;--card:#1a202a;--accent:#fb923c;--ok:#4ade80;"
        "--bad:#f87171;--run:#93c5fd;--warn:#facc15}}"
        "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:14px/1.45 system-ui,sans-serif}"
        "header{display:flex;gap:1rem;align-items:baseline;padding:.9rem 1.5rem;background:var(--card);border-bottom:1px solid var(--line)}"
        "header b{color:var(--accent)}header small{color:var(--soft)}main{padding:1.2rem 1.5rem;max-width:1500px;margin:auto}"
        "a{color:var(--run);text-decoration:none}a:hover{text-decoration:underline}h1{font-size:1.25rem;margin:.2rem 0}h2{font-size:1.05rem;margin:1.4rem 0 .5rem}"
        "nav{display:flex;gap:.3rem;margin:.8rem 0 1rem;border-bottom:1px solid var(--line)}nav a{padding:.45rem .9rem;color:var(--soft);border-bottom:2px solid transparent}"
        "nav a.on{color:var(--fg);border-color:var(--accent)}.wrap{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}"
        "table{border-collapse:collapse;width:100%}th,td{padding:.42rem .7rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}"
        "tr:last-child td{border-bottom:0}th{color:var(--soft);font-weight:600;font-size:12px;white-space:nowrap;position:sticky;top:0;background:var(--card)}"
        ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.t{white-space:nowrap;font-variant-numeric:tabular-nums}"
        ".b{display:inline-block;padding:0 .5rem;border-radius:9px;font-size:12px;border:1px solid currentColor}.ok{color:var(--ok)}.bad{color:var(--bad)}"
        ".run{color:var(--run)}.idle{color:var(--soft)}.warn{color:var(--warn)}.soft{color:var(--soft)}pre{overflow:auto;background:var(--card);border:1px solid var(--line);border-radius:8px;"
        "padding:.8rem;font-size:12.5px}form{display:flex;gap:.5rem;margin:.6rem 0}input,select,button{font:inherit;padding:.35rem .6rem;border:1px solid var(--line);"
        "border-radius:6px;background:var(--card);color:var(--fg)}.cards{display:flex;flex-wrap:wrap;gap:.7rem;margin:.6rem 0 1rem}.card{background:var(--card);border:1px solid "
        "var(--line);border-radius:8px;padding:.5rem .9rem;min-width:8rem}.card small{display:block;color:var(--soft)}.card b{font-size:1.1rem}"
        ".bar{display:flex;width:9rem;height:1.15rem;border-radius:4px;overflow:hidden;background:var(--line);position:relative}.bar i{background:#86c79a;height:100%}"
        ".bar i.r{background:#93b4f5}.bar i.f{background:#eb8f8f}.bar span{position:absolute;inset:0;text-align:center;font-size:11.5px;line-height:1.15rem}"
        "details>summary{cursor:pointer;color:var(--soft)}";

void html_text(struct str *s, struct sv v) {
        for (size_t i = 0; i < v.len; i++) {
                switch (v.data[i]) {
                case '<':
                        str_append_s(s, "&lt;");
                        break;
                case '>':
                        str_append_s(s, "&gt;");
                        break;
                case '&':
                        str_append_s(s, "&amp;");
                        break;
                case '"':
                        str_append_s(s, "&quot;");
                        break;
                case '\'':
                        str_append_s(s, "&#39;");
                        break;
                default:
                        str_append_c(s, v.data[i]);
                }
        }
}

void html_url(struct str *s, const char *v) {
        for (; *v; v++) {
                if ((*v >= 'a' && *v <= 'z') || (*v >= 'A' && *v <= 'Z') || (*v >= '0' && *v <= '9') || strchr("-_.~", *v))
                        str_append_c(s, *v);
                else
                        str_appendf(s, "%%%02X", (unsigned char)*v);
        }
}

void html_begin(struct str *s, const char *title, const char *prefix) {
        str_append_s(
                s,
                "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\"><title>");
        html_text(s, sv_of(title));
        str_append_s(s, "</title><style>");
        str_append_s(s, style);
        str_appendf(s, "</style></head><body><header><a href=\"%s/\"><b>firesteel</b></a> <span>", prefix);
        html_text(s, sv_of(title));
        str_append_s(s, "</span></header><main>");
}

void html_end(struct str *s) { str_append_s(s, "</main></body></html>\n"); }

void html_head(struct str *s, const char *const *names) {
        str_append_s(s, "<div class=wrap><table><thead><tr>");
        for (; *names; names++)
                str_appendf(s, "<th%s>%s</th>", **names == '#' ? " class=n" : "", *names + (**names == '#'));
        str_append_s(s, "</tr></thead><tbody>");
}

void cell_text(struct str *s, struct sv v) {
        str_append_s(s, "<td>");
        html_text(s, v);
        str_append_s(s, "</td>");
}

void cell_int(struct str *s, int64_t v) {
        str_append_s(s, "<td class=n>");
        jformat_grouped(s, v);
        str_append_s(s, "</td>");
}

void cell_bytes(struct str *s, int64_t v) {
        str_append_s(s, "<td class=n>");
        if (v)
                jformat_bytes(s, v);
        str_append_s(s, "</td>");
}

void html_duration(struct str *s, int64_t ms) { jformat_ui_duration(s, ms); }

void cell_duration(struct str *s, int64_t ms) {
        str_append_s(s, "<td class=n>");
        if (ms >= 0)
                html_duration(s, ms);
        str_append_s(s, "</td>");
}

void cell_time(struct str *s, int64_t ms) {
        str_append_s(s, "<td class=t>");
        if (ms >= 0) {
                char text[40];
                jackson_format_date(ms, text);
                text[10] = ' ';
                str_append(s, text, 19);
        }
        str_append_s(s, "</td>");
}

static const char *badge_class(const char *status) {
        static const struct {
                const char *status, *class_name;
        } classes[] = {{"SUCCEEDED", "ok"}, {"COMPLETE", "ok"},  {"COMPLETED", "ok"}, {"SUCCESS", "ok"},
                       {"FAILED", "bad"},   {"RUNNING", "run"},  {"ACTIVE", "run"},   {"KILLED", "warn"},
                       {"PENDING", "idle"}, {"SKIPPED", "idle"}, {"DEAD", "bad"}};
        for (size_t i = 0; i < ARRAY_LEN(classes); i++)
                if (streq(classes[i].status, status))
                        return classes[i].class_name;
        return "idle";
}

void cell_badge(struct str *s, const char *status) {
        str_appendf(s, "<td><span class=\"b %s\">%s</span></td>", badge_class(status), status);
}

void cell_progress(struct str *s, int64_t done, int64_t active, int64_t failed, int64_t total) {
        double all = (double)(total > 0 ? total : 1);
        double widths[3] = {(double)done / all, (double)active / all, failed ? 0.03 + (double)failed / all : 0};
        static const char *const classes[3] = {"", " class=r", " class=f"};
        str_append_s(s, "<td><div class=bar>");
        for (size_t i = 0; i < 3; i++) {
                double w = widths[i] < 0 ? 0 : widths[i] > 1 ? 1 : widths[i];
                if (w > 0)
                        str_appendf(s, "<i%s style=\"width:%.1f%%\"></i>", classes[i], w * 100);
        }
        str_appendf(s, "<span>%lld/%lld", (long long)done, (long long)total);
        if (failed)
                str_appendf(s, " · %lld failed", (long long)failed);
        str_append_s(s, "</span></div></td>");
}

/* ---- the list ---- */

static bool contains(const char *text, const char *part) { return text && strcasestr(text, part); }

static bool is_shown(const struct listed_app *app, const char *search, const char *status) {
        const struct log_record *r = app->attempts[0];
        if (status && streq(status, "running") && r->completed)
                return false;
        if (status && streq(status, "completed") && !r->completed)
                return false;
        return !search || !*search || contains(r->app_id, search) || contains(r->name, search) || contains(r->user, search);
}

static void list_row(struct str *s, const struct log_record *r, const char *prefix, bool first) {
        str_appendf(s, "<tr><td>%s<a href=\"%s/history/", first ? "" : "<span class=soft>↳ </span>", prefix);
        html_url(s, r->app_id);
        if (r->attempt_id) {
                str_append_c(s, '/');
                html_url(s, r->attempt_id);
        }
        str_append_s(s, "/jobs/\">");
        html_text(s, sv_of(r->app_id));
        str_append_s(s, "</a>");
        if (r->attempt_id) {
                str_append_s(s, " <span class=soft>attempt ");
                html_text(s, sv_of(r->attempt_id));
                str_append_s(s, "</span>");
        }
        str_append_s(s, "</td>");
        cell_text(s, sv_of(r->name));
        cell_badge(s, r->completed ? "COMPLETED" : "RUNNING");
        cell_text(s, sv_of(r->user));
        cell_text(s, sv_of(r->spark_version));
        cell_time(s, r->start_ms);
        cell_time(s, r->end_ms);
        cell_duration(s, r->completed ? r->duration_ms : r->last_updated_ms - r->start_ms);
        cell_bytes(s, r->total_size);
        str_append_s(s, "<td><a href=\"");
        str_append_s(s, prefix);
        str_append_s(s, "/api/v1/applications/");
        html_url(s, r->app_id);
        if (r->attempt_id) {
                str_append_c(s, '/');
                html_url(s, r->attempt_id);
        }
        str_append_s(s, "/logs\">zip</a></td></tr>");
}

static void list_problems(struct str *s, const struct listing *l) {
        size_t count = 0;
        for (size_t i = 0; i < l->dir_problems.len; i++) {
                if (!*l->dir_problems.items[i])
                        continue;
                str_append_s(s, "<p class=bad>The log directory could not be listed the last time; what was known before is shown. ");
                html_text(s, sv_of(l->dir_problems.items[i]));
                str_append_s(s, "</p>");
        }
        vec_foreach(r, &l->records) count += (*r)->problem != NULL;
        if (!count)
                return;
        static const char *const names[] = {"Log", "Why it is not listed, or not whole", NULL};
        str_appendf(s, "<h2>%zu logs with problems</h2>", count);
        html_head(s, names);
        vec_foreach(r, &l->records) {
                if (!(*r)->problem)
                        continue;
                str_append_s(s, "<tr>");
                cell_text(s, sv_of((*r)->log));
                cell_text(s, sv_of((*r)->problem));
                str_append_s(s, "</tr>");
        }
        str_append_s(s, "</tbody></table></div>");
}

void page_list(const struct page_request *p, struct str *s) {
        static const char *const names[] = {"Application", "Name",      "State", "User",     "Spark", "Started",
                                            "Ended",       "#Duration", "#Log",  "Download", NULL};
        const struct history *h = p->h;
        const char *search = rest_query_get(p->query, "q"), *status = rest_query_get(p->query, "status");
        size_t shown = 0, limit = h->conf->max_applications < 2000 ? (size_t)h->conf->max_applications : 2000, more = 0;
        html_begin(s, h->conf->title, h->prefix);
        str_append_s(s, "<p class=soft>Event logs of ");
        html_text(s, sv_of(p->dirs));
        str_appendf(s, " · %zu applications", p->listing->num_apps);
        if (!h->scanned)
                str_append_s(s, " · still reading");
        str_append_s(s, "</p><form><input name=q placeholder=\"id, name or user\" value=\"");
        html_text(s, sv_of(search));
        str_append_s(s, "\"><select name=status><option value=\"\">all</option>");
        static const char *const states[] = {"running", "completed"};
        for (size_t i = 0; i < 2; i++)
                str_appendf(s, "<option%s>%s</option>", status && streq(status, states[i]) ? " selected" : "", states[i]);
        str_append_s(s, "</select><button>Filter</button></form>");
        html_head(s, names);
        for (size_t i = 0; i < p->listing->num_apps; i++) {
                const struct listed_app *app = &p->listing->apps[i];
                if (!is_shown(app, search, status))
                        continue;
                if (shown == limit) {
                        more++;
                        continue;
                }
                shown++;
                for (size_t k = 0; k < app->count; k++)
                        list_row(s, app->attempts[k], h->prefix, k == 0);
        }
        str_append_s(s, "</tbody></table></div>");
        if (more)
                str_appendf(s, "<p class=soft>%zu more; narrow the search to see them.</p>", more);
        if (!shown)
                str_append_s(s, p->listing->num_apps
                                        ? "<p>No application matches.</p>"
                                        : "<p>No application yet. Is the log directory the right one, and do applications run with "
                                          "<code>spark.eventLog.enabled=true</code>?</p>");
        list_problems(s, p->listing);
        html_end(s);
}

void page_error(const char *prefix, struct rest_answer *a) {
        AUTO(str) struct str text = a->body;
        static const struct {
                int status;
                const char *title;
        } titles[] = {
                {401, "Who are you?"}, {403, "Not for you"}, {404, "Not found"}, {500, "This log could not be opened"}, {503, "Not now"}};
        const char *title = "Error";
        for (size_t i = 0; i < ARRAY_LEN(titles); i++)
                title = titles[i].status == a->status ? titles[i].title : title;
        a->body = STR_INIT(0);
        a->content_type = "text/html;charset=utf-8";
        html_begin(&a->body, title, prefix);
        str_append_s(&a->body, "<p>");
        html_text(&a->body, str_sv(&text));
        str_appendf(&a->body, "</p><p><a href=\"%s/\">All applications</a></p>", prefix);
        html_end(&a->body);
}
