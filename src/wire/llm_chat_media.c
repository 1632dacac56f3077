/*
 * The type of an image or a file whose client's dialect does not say it.  It
 * must never look at more than the beginning of the data.
 */

#include "llm_chat.h"


llm_slice_t
llm_chat_media(const llm_part_t *part)
{
    static const struct {
        llm_slice_t  magic;     /* of the file, in base64 */
        llm_slice_t  media;
    } types[] = {
        { llm_str("iVBORw0KGgo"), llm_str("image/png") },
        { llm_str("/9j/"), llm_str("image/jpeg") },
        { llm_str("\\/9j\\/"), llm_str("image/jpeg") },
        { llm_str("R0lGOD"), llm_str("image/gif") },
        { llm_str("UklGR"), llm_str("image/webp") },
        { llm_str("JVBERi0"), llm_str("application/pdf") }
    };

    size_t       i;
    llm_slice_t  media;

    /* without parameters, and without what would end it in a data URL, of
     * which only the beginning is looked at */

    media = part->media;

    for (i = 0; i < media.n; i++) {
        if (media.p[i] == ';' || media.p[i] == ',') {
            media.n = i;
        }
    }

    if (media.n != 0 && media.n <= LLM_CHAT_MEDIA) {
        return media;
    }

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (part->data.n >= types[i].magic.n
            && memcmp(part->data.p, types[i].magic.p, types[i].magic.n) == 0)
        {
            return types[i].media;
        }
    }

    return part->type == LLM_PART_IMAGE ? llm_slice("image/png")
                                        : llm_slice("application/pdf");
}
