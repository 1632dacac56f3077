/*
 * The status page: the numbers as tables, which are whole without a script,
 * and the same numbers as JSON for the script that makes them live.  Labels
 * come from clients: it must never write one that is not escaped.
 *
 * The zone is read three times, once for each part, while workers count: a
 * part may know of a request that the one before it does not.
 */

#include "ngx_llm_stream_status.h"
#include "ngx_llm_stream_status_page.h"


#define NGX_LLM_STREAM_HTML_NONE  "\xe2\x80\x93"    /* a dash: not known */

#define ngx_llm_stream_html(text, lit)                                      \
    ngx_llm_stream_text_put(text, lit, sizeof(lit) - 1)


/* What $llm_stream_end says of a request, and whether that is bad: something
 * went wrong that is not the client's doing, nor wanted here. */
typedef struct {
    const char  *means;
    const char  *as;        /* "well", "badly", "neither" */
} ngx_llm_stream_html_end_t;


static void ngx_llm_stream_html_head(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text);
static void ngx_llm_stream_html_facts(ngx_llm_stream_text_t *text,
    const llm_counts_t *all, int64_t open);
static void ngx_llm_stream_html_fact(ngx_llm_stream_text_t *text,
    const char *name, uint64_t n);
static void ngx_llm_stream_html_quantiles(ngx_llm_stream_text_t *text,
    const char *name, const llm_counts_t *all, llm_hist_id_t id);
static void ngx_llm_stream_html_columns(ngx_llm_stream_text_t *text);
static void ngx_llm_stream_html_series(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text);
static void ngx_llm_stream_html_row(ngx_llm_stream_text_t *text,
    const ngx_llm_stream_series_t *labels, const llm_counts_t *counts,
    int64_t open);
static void ngx_llm_stream_html_ends(ngx_llm_stream_text_t *text,
    const llm_counts_t *all);
static void ngx_llm_stream_html_data(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text);
static int64_t ngx_llm_stream_html_sum(ngx_llm_stream_zone_t *zone,
    llm_counts_t *all);
static uint64_t ngx_llm_stream_html_requests(const llm_counts_t *counts);
static uint64_t ngx_llm_stream_html_badly(const llm_counts_t *counts);
static uint64_t ngx_llm_stream_html_tokens(const llm_counts_t *counts,
    ngx_uint_t out);
static void ngx_llm_stream_html_escape(ngx_llm_stream_text_t *text,
    const ngx_str_t *label);
static void ngx_llm_stream_html_number(ngx_llm_stream_text_t *text,
    uint64_t n);
static void ngx_llm_stream_html_ms(ngx_llm_stream_text_t *text, double ms);
static void ngx_llm_stream_html_share(ngx_llm_stream_text_t *text,
    uint64_t n, uint64_t of);
static void ngx_llm_stream_html_age(ngx_llm_stream_text_t *text,
    ngx_msec_t age);


static const ngx_llm_stream_html_end_t  ngx_llm_stream_html_end[LLM_END_MAX]
    = {

    [LLM_END_COMPLETE] = {
        "The provider finished, and the client was sent all of it.",
        "well" },

    [LLM_END_BLOCKED] = {
        "Ended by llm_stream_redact.",
        "neither" },

    [LLM_END_TRUNCATED] = {
        "The provider&#8217;s answer ended before it was finished.",
        "badly" },

    [LLM_END_UPSTREAM_ERROR] = {
        "The provider reported an error.",
        "badly" },

    [LLM_END_INVALID] = {
        "The provider&#8217;s answer could not be understood.",
        "badly" },

    [LLM_END_TIMEOUT] = {
        "The provider was too slow.",
        "badly" },

    [LLM_END_LIMIT] = {
        "Ended by a limit of this server: time, size, rate.",
        "neither" },

    [LLM_END_CLIENT_ABORT] = {
        "The client went away.",
        "neither" },

    [LLM_END_REJECTED] = {
        "Refused before a provider was asked.",
        "neither" },

    [LLM_END_UNREACHABLE] = {
        "No provider could be connected to.",
        "badly" },

    [LLM_END_INTERNAL] = {
        "A fault of this server, or its shutdown.",
        "badly" }
};


void
ngx_llm_stream_status_html(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text)
{
    int64_t       open;
    llm_counts_t  all;

    open = ngx_llm_stream_html_sum(zone, &all);

    ngx_llm_stream_html_head(zone, text);
    ngx_llm_stream_html_facts(text, &all, open);
    ngx_llm_stream_html_series(zone, text);
    ngx_llm_stream_html_ends(text, &all);
    ngx_llm_stream_html_data(zone, text);
}


static void
ngx_llm_stream_html_head(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text)
{
    uint64_t  lost;

    lost = ngx_llm_stream_zone_lost(zone);

    ngx_llm_stream_html(text,
        "<!DOCTYPE html>\n"
        "<html lang=\"en\">\n"
        "<head>\n"
        "<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\""
            " content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"robots\" content=\"noindex\">\n"
        "<title>LLM streams</title>\n"
        "<link rel=\"icon\" href=\"data:,\">\n"
        "<style>");
    ngx_llm_stream_text_put(text, ngx_llm_stream_page_style.data,
                            ngx_llm_stream_page_style.len);
    ngx_llm_stream_html(text,
        "</style>\n"
        "</head>\n"
        "<body>\n"
        "<header>\n"
        "<h1>LLM streams</h1>\n"
        "<p><span id=\"state\" role=\"status\"></span>"
            " <span id=\"at\"></span>"
            "<noscript>Reload the page for newer numbers.</noscript></p>\n"
        "</header>\n"
        "<main>\n"
        "<section class=\"live\" aria-labelledby=\"now\" hidden>\n"
        "<h2 id=\"now\">Now</h2>\n"
        "<dl class=\"tiles\" id=\"tiles\"></dl>\n"
        "</section>\n"
        "<section aria-labelledby=\"total\">\n"
        "<h2 id=\"total\">Totals of <span id=\"age\">");
    ngx_llm_stream_html_age(text, ngx_llm_stream_zone_age(zone));
    ngx_llm_stream_text(text,
        "</span></h2>\n"
        "<p class=\"note warn\" id=\"lost\"%s><span id=\"lost-n\">",
        lost == 0 ? " hidden" : "");
    ngx_llm_stream_html_number(text, lost);
    ngx_llm_stream_html(text,
        "</span> requests are not counted: the zone is full. A larger"
        " llm_stream_zone has room for them.</p>\n");
}


static void
ngx_llm_stream_html_facts(ngx_llm_stream_text_t *text,
    const llm_counts_t *all, int64_t open)
{
    ngx_llm_stream_html(text, "<dl class=\"facts\" id=\"facts\">\n");

    ngx_llm_stream_html_fact(text, "Streams open", (uint64_t) open);
    ngx_llm_stream_html_fact(text, "Requests",
                             ngx_llm_stream_html_requests(all));

    ngx_llm_stream_html(text, "<div><dt>Ended well</dt><dd>");
    ngx_llm_stream_html_share(text, all->end[LLM_END_COMPLETE],
                              ngx_llm_stream_html_requests(all));
    ngx_llm_stream_html(text, "</dd></div>\n");

    ngx_llm_stream_html_fact(text, "Input tokens",
                             ngx_llm_stream_html_tokens(all, 0));
    ngx_llm_stream_html_fact(text, "Output tokens",
                             ngx_llm_stream_html_tokens(all, 1));
    ngx_llm_stream_html_fact(text, "Chunks", all->n[LLM_COUNT_CHUNKS]);

    ngx_llm_stream_html_quantiles(text, "TTFT", all, LLM_HIST_TTFT);
    ngx_llm_stream_html_quantiles(text, "ITL", all, LLM_HIST_ITL);

    ngx_llm_stream_html(text,
        "</dl>\n"
        "<p class=\"note\">TTFT: time to the first token. ITL: time between"
        " two chunks. p50: half are at most that.</p>\n"
        "</section>\n");
}


static void
ngx_llm_stream_html_fact(ngx_llm_stream_text_t *text, const char *name,
    uint64_t n)
{
    ngx_llm_stream_text(text, "<div><dt>%s</dt><dd>", name);
    ngx_llm_stream_html_number(text, n);
    ngx_llm_stream_html(text, "</dd></div>\n");
}


static void
ngx_llm_stream_html_quantiles(ngx_llm_stream_text_t *text, const char *name,
    const llm_counts_t *all, llm_hist_id_t id)
{
    ngx_uint_t               i;
    static const ngx_uint_t  q[] = { 50, 90, 99 };

    for (i = 0; i < 3; i++) {
        ngx_llm_stream_text(text, "<div><dt>%s p%ui, ms</dt><dd>", name,
                            q[i]);
        ngx_llm_stream_html_ms(text,
            llm_hist_quantile(&all->hist[id], id, (double) q[i] / 100));
        ngx_llm_stream_html(text, "</dd></div>\n");
    }
}


/* The columns are those of ngx_llm_stream_html_row() and of the script. */

static void
ngx_llm_stream_html_columns(ngx_llm_stream_text_t *text)
{
    ngx_llm_stream_html(text,
        "<section aria-labelledby=\"by\">\n"
        "<div class=\"head\">\n"
        "<h2 id=\"by\">By model</h2>\n"
        "<fieldset class=\"live\" id=\"view\" hidden>\n"
        "<legend>Show</legend>\n"
        "<label><input type=\"radio\" name=\"view\" value=\"all\" checked>"
            "totals</label>\n"
        "<label><input type=\"radio\" name=\"view\" value=\"minute\">"
            "the last minute</label>\n"
        "</fieldset>\n"
        "</div>\n"
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\""
            " aria-labelledby=\"by\">\n"
        "<table id=\"series\">\n"
        "<caption>Open streams are counted by location, in its row"
            " &#8220;other&#8221;.</caption>\n"
        "<thead>\n"
        "<tr>"
        "<th class=\"word\" scope=\"col\" rowspan=\"2\" data-column=\"0\">"
            "Model</th>"
        "<th class=\"word\" scope=\"col\" rowspan=\"2\" data-column=\"1\">"
            "Upstream</th>"
        "<th class=\"word\" scope=\"col\" rowspan=\"2\" data-column=\"2\">"
            "Location</th>"
        "<th class=\"word\" scope=\"col\" rowspan=\"2\" data-column=\"3\">"
            "Server</th>"
        "<th scope=\"col\" rowspan=\"2\" data-column=\"4\">Open</th>"
        "<th class=\"group\" scope=\"colgroup\" colspan=\"2\">Requests</th>"
        "<th class=\"group\" scope=\"colgroup\" colspan=\"2\">TTFT, ms</th>"
        "<th class=\"group\" scope=\"colgroup\" colspan=\"2\">ITL, ms</th>"
        "<th class=\"group\" scope=\"colgroup\" colspan=\"2\">Tokens</th>"
        "<th scope=\"col\" rowspan=\"2\" data-column=\"13\">Chunks</th>"
        "</tr>\n"
        "<tr>"
        "<th scope=\"col\" data-column=\"5\">all</th>"
        "<th scope=\"col\" data-column=\"6\">badly</th>"
        "<th scope=\"col\" data-column=\"7\">p50</th>"
        "<th scope=\"col\" data-column=\"8\">p90</th>"
        "<th scope=\"col\" data-column=\"9\">p50</th>"
        "<th scope=\"col\" data-column=\"10\">p90</th>"
        "<th scope=\"col\" data-column=\"11\">in</th>"
        "<th scope=\"col\" data-column=\"12\">out</th>"
        "</tr>\n"
        "</thead>\n");
}


static void
ngx_llm_stream_html_series(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text)
{
    int64_t                  open;
    ngx_uint_t               i, n;
    llm_counts_t             counts;
    ngx_llm_stream_series_t  labels;

    ngx_llm_stream_html_columns(text);
    ngx_llm_stream_html(text, "<tbody>\n");

    n = ngx_llm_stream_zone_series(zone);

    for (i = 0; i < n; i++) {
        ngx_llm_stream_zone_read(zone, i, &labels, &counts, &open);
        ngx_llm_stream_html_row(text, &labels, &counts, open);
    }

    ngx_llm_stream_html(text, "</tbody>\n</table>\n</div>\n");

    /* what the script makes rows of, for series that are new */

    ngx_memzero(&labels, sizeof(ngx_llm_stream_series_t));
    ngx_memzero(&counts, sizeof(llm_counts_t));

    ngx_llm_stream_html(text, "<template id=\"row\">");
    ngx_llm_stream_html_row(text, &labels, &counts, -1);
    ngx_llm_stream_html(text, "</template>\n</section>\n");
}


static void
ngx_llm_stream_html_row(ngx_llm_stream_text_t *text,
    const ngx_llm_stream_series_t *labels, const llm_counts_t *counts,
    int64_t open)
{
    double                  ms;
    ngx_uint_t              i;
    static const ngx_str_t  nobody = ngx_string(NGX_LLM_STREAM_HTML_NONE);

    ngx_llm_stream_html(text, "<tr><th class=\"word\" scope=\"row\"><bdi>");
    ngx_llm_stream_html_escape(text, &labels->model);
    ngx_llm_stream_html(text, "</bdi></th><td class=\"word\"><bdi>");
    ngx_llm_stream_html_escape(text, &labels->upstream);
    ngx_llm_stream_html(text, "</bdi></td><td class=\"word\"><bdi>");
    ngx_llm_stream_html_escape(text, &labels->location);
    ngx_llm_stream_html(text, "</bdi></td><td class=\"word\"><bdi>");
    ngx_llm_stream_html_escape(text, labels->server.len ? &labels->server
                                                        : &nobody);
    ngx_llm_stream_html(text, "</bdi></td><td>");

    if (open < 0) {
        ngx_llm_stream_html(text, NGX_LLM_STREAM_HTML_NONE);

    } else {
        ngx_llm_stream_html_number(text, (uint64_t) open);
    }

    ngx_llm_stream_html(text, "</td><td>");
    ngx_llm_stream_html_number(text, ngx_llm_stream_html_requests(counts));
    ngx_llm_stream_html(text, "</td><td>");
    ngx_llm_stream_html_number(text, ngx_llm_stream_html_badly(counts));

    for (i = 0; i < 4; i++) {
        ms = llm_hist_quantile(&counts->hist[i < 2 ? LLM_HIST_TTFT
                                                   : LLM_HIST_ITL],
                               i < 2 ? LLM_HIST_TTFT : LLM_HIST_ITL,
                               i % 2 ? 0.9 : 0.5);

        ngx_llm_stream_html(text, "</td><td>");
        ngx_llm_stream_html_ms(text, ms);
    }

    ngx_llm_stream_html(text, "</td><td>");
    ngx_llm_stream_html_number(text, ngx_llm_stream_html_tokens(counts, 0));
    ngx_llm_stream_html(text, "</td><td>");
    ngx_llm_stream_html_number(text, ngx_llm_stream_html_tokens(counts, 1));
    ngx_llm_stream_html(text, "</td><td>");
    ngx_llm_stream_html_number(text, counts->n[LLM_COUNT_CHUNKS]);
    ngx_llm_stream_html(text, "</td></tr>\n");
}


static void
ngx_llm_stream_html_ends(ngx_llm_stream_text_t *text,
    const llm_counts_t *all)
{
    uint64_t                          requests;
    ngx_uint_t                        i;
    llm_slice_t                       name;
    const ngx_llm_stream_html_end_t  *end;

    requests = ngx_llm_stream_html_requests(all);

    ngx_llm_stream_html(text,
        "<section aria-labelledby=\"how\">\n"
        "<h2 id=\"how\">Endings</h2>\n"
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\""
            " aria-labelledby=\"how\">\n"
        "<table id=\"ends\">\n"
        "<caption>How requests ended, as $llm_stream_end says it.</caption>\n"
        "<thead>\n"
        "<tr><th class=\"word\" scope=\"col\">Ending</th>"
        "<th scope=\"col\">Requests</th>"
        "<th scope=\"col\">Share</th>"
        "<th class=\"word\" scope=\"col\">Ended</th>"
        "<th class=\"word\" scope=\"col\">Means</th></tr>\n"
        "</thead>\n"
        "<tbody>\n");

    for (i = 0; i < LLM_END_MAX; i++) {
        name = llm_end_name(i);
        end = &ngx_llm_stream_html_end[i];

        ngx_llm_stream_text(text,
            "<tr data-end=\"%*s\" data-as=\"%s\">"
            "<th class=\"word\" scope=\"row\">%*s</th><td>",
            name.n, name.p, end->as, name.n, name.p);
        ngx_llm_stream_html_number(text, all->end[i]);
        ngx_llm_stream_html(text, "</td><td>");
        ngx_llm_stream_html_share(text, all->end[i], requests);
        ngx_llm_stream_text(text, "</td><td class=\"word %s\">%s</td>"
                            "<td class=\"word wide\">%s</td></tr>\n",
                            end->as, end->as, end->means);
    }

    ngx_llm_stream_html(text,
        "</tbody>\n"
        "</table>\n"
        "</div>\n"
        "</section>\n"
        "</main>\n");
}


/* In JSON a "<" can only be within a string; as an escape it ends no
 * script. */

static void
ngx_llm_stream_html_data(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text)
{
    u_char                 *p, *from;
    ngx_chain_t            *cl;
    ngx_llm_stream_text_t   json;

    ngx_llm_stream_html(text,
        "<script type=\"application/json\" id=\"data\">");

    ngx_llm_stream_text_init(&json, text->pool);
    ngx_llm_stream_status_json(zone, &json);

    if (json.failed) {
        text->failed = 1;
        return;
    }

    for (cl = json.out; cl; cl = cl->next) {
        from = cl->buf->pos;

        for (p = from; p < cl->buf->last; p++) {

            if (*p == '<') {
                ngx_llm_stream_text_put(text, from, p - from);
                ngx_llm_stream_html(text, "\\u003c");
                from = p + 1;
            }
        }

        ngx_llm_stream_text_put(text, from, p - from);
    }

    ngx_llm_stream_html(text, "</script>\n<script>");
    ngx_llm_stream_text_put(text, ngx_llm_stream_page_script.data,
                            ngx_llm_stream_page_script.len);
    ngx_llm_stream_html(text, "</script>\n</body>\n</html>\n");
}


/* Returns the streams open. */

static int64_t
ngx_llm_stream_html_sum(ngx_llm_stream_zone_t *zone, llm_counts_t *all)
{
    int64_t                  open, sum;
    ngx_uint_t               i, n;
    llm_counts_t             counts;
    ngx_llm_stream_series_t  labels;

    sum = 0;
    ngx_memzero(all, sizeof(llm_counts_t));

    n = ngx_llm_stream_zone_series(zone);

    for (i = 0; i < n; i++) {
        ngx_llm_stream_zone_read(zone, i, &labels, &counts, &open);
        llm_counts_merge(all, &counts);
        sum += open > 0 ? open : 0;
    }

    return sum;
}


static uint64_t
ngx_llm_stream_html_requests(const llm_counts_t *counts)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = 0; i < LLM_END_MAX; i++) {
        n += counts->end[i];
    }

    return n;
}


static uint64_t
ngx_llm_stream_html_badly(const llm_counts_t *counts)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = 0; i < LLM_END_MAX; i++) {
        if (ngx_strcmp(ngx_llm_stream_html_end[i].as, "badly") == 0) {
            n += counts->end[i];
        }
    }

    return n;
}


/* whoever counted them */

static uint64_t
ngx_llm_stream_html_tokens(const llm_counts_t *counts, ngx_uint_t out)
{
    return out ? counts->n[LLM_COUNT_OUTPUT_USAGE]
                 + counts->n[LLM_COUNT_OUTPUT_ESTIMATE]
               : counts->n[LLM_COUNT_INPUT_USAGE]
                 + counts->n[LLM_COUNT_INPUT_ESTIMATE];
}


static void
ngx_llm_stream_html_escape(ngx_llm_stream_text_t *text,
    const ngx_str_t *label)
{
    u_char      *p;
    const char  *word;
    u_char      *last, *from;

    from = label->data;
    last = label->data + label->len;

    for (p = from; p < last; p++) {

        switch (*p) {

        case '<':
            word = "&lt;";
            break;

        case '>':
            word = "&gt;";
            break;

        case '&':
            word = "&amp;";
            break;

        case '"':
            word = "&quot;";
            break;

        case '\'':
            word = "&#39;";
            break;

        default:
            continue;
        }

        ngx_llm_stream_text_put(text, from, p - from);
        ngx_llm_stream_text_put(text, word, ngx_strlen(word));
        from = p + 1;
    }

    ngx_llm_stream_text_put(text, from, last - from);
}


/* 1,234,567 */

static void
ngx_llm_stream_html_number(ngx_llm_stream_text_t *text, uint64_t n)
{
    u_char      *p, buf[NGX_INT64_LEN + NGX_INT64_LEN / 3];
    ngx_uint_t   digits;

    p = buf + sizeof(buf);
    digits = 0;

    do {
        if (digits && digits % 3 == 0) {
            *--p = ',';
        }

        *--p = (u_char) ('0' + n % 10);
        n /= 10;
        digits++;

    } while (n);

    ngx_llm_stream_text_put(text, p, buf + sizeof(buf) - p);
}


static void
ngx_llm_stream_html_ms(ngx_llm_stream_text_t *text, double ms)
{
    if (ms < 0) {
        ngx_llm_stream_html(text, NGX_LLM_STREAM_HTML_NONE);

    } else if (ms < 9.95) {
        ngx_llm_stream_text(text, "%.1f", ms);

    } else {
        ngx_llm_stream_html_number(text, (uint64_t) (ms + 0.5));
    }
}


/* Rounded down: 100 % is all of them. */

static void
ngx_llm_stream_html_share(ngx_llm_stream_text_t *text, uint64_t n,
    uint64_t of)
{
    uint64_t  permille;

    if (of == 0) {
        ngx_llm_stream_html(text, NGX_LLM_STREAM_HTML_NONE);
        return;
    }

    permille = n * 1000 / of;

    ngx_llm_stream_text(text, "%uL.%uL&#8201;%%", permille / 10,
                        permille % 10);
}


static void
ngx_llm_stream_html_age(ngx_llm_stream_text_t *text, ngx_msec_t age)
{
    ngx_uint_t  s, m, h;

    s = age / 1000;
    m = s / 60;
    h = m / 60;

    if (h >= 24) {
        ngx_llm_stream_text(text, "%ui d %ui h", h / 24, h % 24);

    } else if (h) {
        ngx_llm_stream_text(text, "%ui h %ui min", h, m % 60);

    } else if (m) {
        ngx_llm_stream_text(text, "%ui min %ui s", m, s % 60);

    } else {
        ngx_llm_stream_text(text, "%ui s", s);
    }
}
