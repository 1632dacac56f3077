/*
 * Chunks of an OpenAI stream, as text for the tests of the flow.
 */

#ifndef FLOW_CHUNKS_H
#define FLOW_CHUNKS_H

#include "flow_support.h"


#define EV(json)   "data: " json "\n\n"
#define ID         "\"id\":\"c1\",\"model\":\"river\",\"created\":17"
#define CH(d)      EV("{" ID ",\"choices\":[{\"index\":0,\"delta\":" d "}]}")
#define ROLE       CH("{\"role\":\"assistant\",\"content\":\"\"}")
#define TEXT(t)    CH("{\"content\":\"" t "\"}")
#define FIN(n, w)  EV("{" ID ",\"choices\":[{\"index\":" n ",\"delta\":{},"  \
                      "\"finish_reason\":\"" w "\"}]}")
#define USE        EV("{" ID ",\"choices\":[],\"usage\":{\"prompt_tokens\":3," \
                      "\"completion_tokens\":4,\"total_tokens\":7}}")
#define DONE       EV("[DONE]")


#endif /* FLOW_CHUNKS_H */
