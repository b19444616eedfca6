/* SPDX-License-Identifier: MIT */
/*
 * Schemas of what is answered, for the OpenAPI document: JSON in which ' stands for ".
 */
#include "control/api/command.h"

#define NUMBER  "{'type':'number'}"
#define MAYBE   "{'type':['number','null']}"
#define COUNT   "{'type':'integer','minimum':0}"
#define TIME    "{'type':'integer','description':'Milliseconds since 1970.'}"
#define OR_TIME "{'type':['integer','null']}"
#define TEXT    "{'type':'string'}"
#define OR_TEXT "{'type':['string','null']}"
#define BOOLEAN "{'type':'boolean'}"
#define COUNTS  "{'type':'object','additionalProperties':" COUNT "}"
#define STRINGS "{'type':'array','items':" TEXT "}"
#define LATENCY "{'type':'object','properties':{'p50':" MAYBE ",'p95':" MAYBE ",'p99':" MAYBE "}}"
#define RATES                                                                                     \
    "{'type':'object','properties':{'requests':" NUMBER ",'errors':" NUMBER ",'bytes_in':" NUMBER \
    ",'bytes_out':" NUMBER "}}"
#define PROTOCOLS                                                                               \
    "'protocols':{'type':'object','description':'Requests by protocol: what the client spoke; " \
    "of a server, what was spoken to it.','additionalProperties':" COUNT "}"
#define GRPC                                                                               \
    "'grpc':{'type':'object','description':'gRPC calls by the status that the client got " \
    "(none: ended without one).','additionalProperties':" COUNT "}"
#define TRAFFIC                                                                  \
    "'requests':" COUNT ",'responses':" COUNTS ",'errors':" COUNTS "," PROTOCOLS \
    ",'retries':" COUNT ",'bytes_in':" COUNT ",'bytes_out':" COUNT
#define HTTP2                                                                                 \
    "'http2':{'type':'object','properties':{'connections':{'type':'integer','minimum':0,"     \
    "'description':'Open now.'},'streams':{'type':'integer','minimum':0,'description':"       \
    "'Requests that run on them now.'},'opened':{'type':'integer','minimum':0,'description':" \
    "'Connections since the start.'}}}"
#define OFFERS                                                                                     \
    "'alpn':{'type':'array','description':'Names that are offered by ALPN, best first; empty: no " \
    "TLS.','items':" TEXT "},'h2c':" BOOLEAN
#define CALLS                                                                                      \
    "'calls':" COUNT ",'time_us':{'type':'object','description':'Time of a call, without calls "   \
    "inside it.','properties':{'p50':" NUMBER ",'p99':" NUMBER ",'worst':" NUMBER ",'sum':" NUMBER \
    "}},'strikes':{'type':'object','description':'Breaches of contract, by kind.',"                \
    "'properties':{'over_budget':" COUNT ",'wrong_answer':" COUNT ",'no_server':" COUNT            \
    ",'failed':" COUNT "}}"
#define FAULT                                                                                      \
    "'time':" TIME ",'what':{'type':'string','description':'A signal, or stall.'},'hook':" OR_TEXT \
    ",'place':" TEXT
#define OPTIONS "'options':{'type':'object','additionalProperties':" TEXT "}"
#define SIDE                                                                                     \
    "{'type':'object','properties':{'version':" TEXT ",'path':" TEXT                             \
    ",'identity':{'type':'string','description':'SHA-256 of its file; these three of a copy of " \
    "a module, the next of a balancer of a pool.'},'balance':" TEXT "," OPTIONS                  \
    ",'from_files':" BOOLEAN                                                                     \
    ",'strikes':{'type':'integer','minimum':0,'description':'While it is tried: since then.'}}}"
#define COUNTED                            \
    "'requests':" COUNT ",'errors':" COUNT \
    ",'first_byte_ms':{'type':'object','properties':{'p50':" MAYBE ",'p99':" MAYBE "}}"
#define ARM                                                                                       \
    "{'type':'object','properties':{'picks':" COUNT "," COUNTED                                   \
    ",'classes':{'type':'array','description':'By how fast the server has been lately.','items':" \
    "{'type':'object','properties':{'servers_within_ms':" MAYBE "," COUNTED "}}}}}"
#define SWAP                                                                                      \
    "{'type':['object','null'],'description':'Its last one; null: there was none.','properties':" \
    "{'state':{'enum':['trying','promoted','rolled_back']},'old':" SIDE ",'new':" SIDE            \
    ",'began':" TIME ",'ended':" TIME ",'author':" TEXT ",'reason':" TEXT                         \
    ",'canary':{'type':'number','description':'Percent of the picks.'},'until':" TIME             \
    ",'max_error_ratio':" NUMBER ",'max_latency_ratio':" NUMBER                                   \
    ",'pools':{'type':'array','description':'While it is tried: what both do.','items':"          \
    "{'type':'object','properties':{'pool':" TEXT ",'old':" ARM ",'new':" ARM "}}}}}"
#define SHADOW                                                                                     \
    "{'type':['object','null'],'description':'A balancer that is asked and not obeyed; null: "     \
    "there is none.','properties':{'balancer':" TEXT                                               \
    ",'out':{'type':'boolean','description':'It is "                                               \
    "not asked for now.'},'reason':{'type':['string','null'],'description':'Why it is out: "       \
    "too many strikes, quarantine, or a hook that failed.'},'since':" TIME                         \
    ",'asked':{'type':'integer','minimum':0,'description':'Picks of the pool balancer for which "  \
    "it was asked as well.'},'agreed':{'type':'integer','minimum':0,'description':'It chose the "  \
    "same server.'},'none':{'type':'integer','minimum':0,'description':'It chose nobody, or gave " \
    "a wrong answer.'},'wait_ms':{'type':['number','null'],'description':'Mean over these picks "  \
    "of the time to the first byte that one waits lately at the server that was picked.'}"         \
    ",'predicted_wait_ms':{'type':['number','null'],'description':'The same at the server that "   \
    "the shadow chose, longer in proportion where it would have more requests than it has.'}"      \
    ",'servers':{'type':'array','items':{'type':'object','properties':{'id':" TEXT                 \
    ",'picked':" COUNT ",'chosen':{'type':'integer','minimum':0,'description':'By the shadow.'}"   \
    ",'in_flight':" COUNT                                                                          \
    ",'predicted_in_flight':{'type':'integer','minimum':0,'description':'If "                      \
    "the shadow were obeyed.'},'wait_ms':" MAYBE ",'predicted_wait_ms':" MAYBE "}}}}}"
#define LIST(of)                                                                                  \
    "{'type':'object','required':['entries'],'properties':{'entries':{'type':'array','items':" of \
    "}}}"
#define REF(name)         "{'$ref':'#/components/schemas/" name "'}"
#define MODULE_ALARM      REF("ModuleAlarm")
#define MODULE_QUARANTINE REF("ModuleQuarantine")
#define MODULE_HOOK       REF("ModuleHook")
#define MODULE_BLOCK      REF("ModuleBlock")
#define MODULE_RECENT     REF("ModuleRecent")
#define LAST_SWAP         REF("Swap")

const struct weir_schema answer_schemas[] = {
    {"Problem",
     "{'type':'object','required':['type','title','status'],'properties':{'type':" TEXT
     ",'title':" TEXT ",'status':" COUNT ",'detail':" TEXT
     ",'errors':{'type':'array','items':{'type':'object','properties':{'pointer':" TEXT
     ",'detail':" TEXT "}}},'mistakes':" STRINGS
     ",'needs':{'enum':['force'],'description':'Asked again with force=1, it is done.'}}}"},
    {"Server",
     "{'type':'object','required':['id','pool','url','origin','state','health','weight'],"
     "'properties':"
     "{'id':" TEXT ",'pool':" TEXT ",'url':" TEXT
     ",'origin':{'enum':['file','runtime']},'drift':" STRINGS
     ",'state':{'enum':['ready','drain','maintenance']},'state_since':" TIME
     ",'drain_deadline':" OR_TIME ",'leaving':" BOOLEAN
     ",'health':{'type':'object','properties':{'status':{'enum':['up','down','unknown']},"
     "'reason':" TEXT ",'since':" TIME
     ",'probes':{'type':'array','items':{'type':'object','properties':{'at':" TIME ",'ok':" BOOLEAN
     ",'ms':" MAYBE ",'reason':" TEXT "}}}}},'weight':" COUNT ",'effective_weight':" NUMBER
     ",'configured_weight':{'type':['integer','null']},'max_requests':" COUNT
     ",'max_connections':" COUNT ",'backup':" BOOLEAN ",'in_flight':" COUNT
     ",'sessions':{'type':['integer','null'],'description':'About how many sessions "
     "had a response of it within the last five minutes; null where the pool is not "
     "sticky.'}," TRAFFIC ",'connections':" COUNT "," HTTP2
     ",'abusive':{'type':'integer','minimum':0,'description':'Connections that ended for its "
     "abuse.'},'odd_points':{'type':'integer','minimum':0,'description':'What it did that counts "
     "towards that.'},'error_share':" MAYBE ",'rates':" RATES ",'latency_ms':" LATENCY
     ",'ejected_until':" OR_TIME "}}"},
    {"Servers", LIST(REF("Server"))},
    {"Pool",
     "{'type':'object','required':['name','servers'],'properties':{'name':" TEXT
     ",'policy':" OR_TEXT
     ",'policy_set':{'type':['object','null'],'description':'The balancer that "
     "was set at run time; null: the files say it.','properties':{'balance':" TEXT "," OPTIONS
     "}},'swap':" LAST_SWAP ",'shadow':" SHADOW ",'sticky':" OR_TEXT ",'health_check':" OR_TEXT
     ",'protocol':{'enum':['http/1.1','h2','auto'],'description':'What is spoken to its "
     "servers.'},'h2_streams':" COUNT ",'h2_window':" COUNT
     ",'connection_age':{'type':'integer','minimum':0,'description':'Milliseconds; 0: any.'}"
     ",'servers':{'type':'array','items':" REF(
         "Server") "},'names':{'type':'array','description':'Server blocks with resolve = all "
                   "or srv:"
                   " servers that the name has, and those beyond the first 256.','items':"
                   "{'type':'object','properties':{'id':" TEXT ",'host':" TEXT
                   ",'resolve':{'enum':['all','srv']},'servers':" COUNT ",'left_out':" COUNT
                   "}}},'up':" COUNT ",'total':" COUNT ",'in_flight':" COUNT ",'queued':" COUNT
                   ",'totals':{'type':'object','properties':{" TRAFFIC "," GRPC "}},'rates':" RATES
                   ",'latency_ms':" LATENCY "}}"},
    {"Pools", LIST(REF("Pool"))},
    {"Routes",
     LIST("{'type':'object','properties':{'name':" TEXT ",'path':" OR_TEXT
          ",'host':{'type':['string','null'],'description':'Its hosts, with commas; null: every "
          "host.'}"
          ",'match':" OR_TEXT ",'pool':" OR_TEXT ",'redirect':" OR_TEXT ",'place':" TEXT "," TRAFFIC
          "," GRPC ",'rates':" RATES ",'latency_ms':" LATENCY "}}")},
    {"Listeners",
     LIST("{'type':'object','properties':{'name':" TEXT ",'addresses':" STRINGS ",'tls':" BOOLEAN
          ",'handler':" OR_TEXT "," OFFERS ",'connections':" COUNT "," HTTP2
          ",'abusive':{'type':'integer','minimum':0,'description':'Connections that "
          "ended for abuse (abuse_limit).'},'odd_points':{'type':'integer',"
          "'minimum':0,'description':'What clients did that counts towards it.'}," TRAFFIC "," GRPC
          ",'rates':" RATES ",'latency_ms':" LATENCY "}}")},
    {"Swap", SWAP},
    {"Module",
     "{'type':'object','properties':{'name':" TEXT ",'version':" TEXT ",'abi':" TEXT
     ",'kinds':" STRINGS ",'license':" TEXT ",'summary':" TEXT ",'path':" TEXT
     ",'state':{'enum':['active','canary','draining']},'generation':{'type':'integer',"
     "'description':'The "
     "newest that was in force with this copy.'},'faults':{'type':'integer',"
     "'description':'Wrong answers "
     "and failed hooks of this copy, over all workers, since it was loaded.'}," CALLS
     ",'rates':{'type':'object','description':'The last ten seconds.','properties':{'calls':" MAYBE
     ",'request_us':{'type':['number','null'],'description':'Its time on workers, for each "
     "request of Weir.'},'cpu_share':{'type':['number','null'],'description':'Its share of the "
     "workers CPU time (0 to 1).'}}},'cpu_share':{'type':['number','null'],'description':'Its "
     "share of the workers CPU time since the start (0 to 1).'},'allocated_bytes':{'type':"
     "'integer','description':'Memory that it has asked Weir for.'},'alarms':{'type':'array',"
     "'description':'Its blocks that are out for too many strikes, or in "
     "quarantine.','items':" MODULE_ALARM "},'quarantine':" MODULE_QUARANTINE
     ",'hooks':{'type':'array','description':'By hook; of one module alone.','items':" MODULE_HOOK
     "},'blocks':{'type':'array','description':'Blocks of the configuration that use it; of one "
     "module alone.','items':" MODULE_BLOCK "},'recent':" MODULE_RECENT ",'swap':" LAST_SWAP
     ",'metrics':{'type':'array','description':'Its own numbers, over all workers; they last over "
     "the exchange of its file.','items':{'type':'object','properties':{'name':" TEXT
     ",'type':{'enum':['counter','gauge']},'help':" TEXT ",'value':{'type':'integer'}}}}}}"},
    {"ModuleQuarantine",
     "{'type':['object','null'],'description':'Weir has died twice in its calls, and does not call "
     "it until it is released; null: it is not in quarantine.','properties':{'module':" TEXT
     ",'since':" TIME ",'faults':{'type':'array','description':'In which of its calls, the newest "
     "first.','items':{'type':'object','properties':{" FAULT "}}}}}"},
    {"ModuleAlarm", "{'type':'object','properties':{'module':" TEXT ",'block':" TEXT ",'kind':" TEXT
                    ",'since':" TIME ",'hook':" TEXT ",'strike':" TEXT ",'took_us':" MAYBE
                    ",'instead':{'type':'string','description':'A fallback, open, or closed.'}}}"},
    {"ModuleHook",
     "{'type':'object','properties':{'hook':" TEXT "," CALLS ",'allocated_bytes':" COUNT
     ",'workers':{'type':'array','items':{'type':'object','properties':{'worker':"
     "{'type':['integer','null'],'description':'null: the control thread.'}," CALLS "}}}}}"},
    {"ModuleBlock",
     "{'type':'object','properties':{'block':" TEXT ",'kind':" TEXT ",'out':" BOOLEAN
     ",'instead':{'type':['string','null'],'description':'While it is out; null: it never is.'}"
     ",'call_budget_us':{'type':'number','description':'0: none.'},'strikes_limit':"
     "{'type':'integer','description':'Within ten seconds; 0: none.'}}}"},
    {"ModuleRecent",
     "{'type':'object','description':'The last five minutes, by step; null: nothing is known. Of "
     "one module alone.','properties':{'start':" TIME ",'step_ms':" COUNT
     ",'calls':{'type':'array','description':'A second.','items':" MAYBE
     "},'request_us':{'type':'array','description':'As in rates.','items':" MAYBE "}}}"},
    {"Modules", LIST(REF("Module"))},
    {"Certificates",
     LIST("{'type':'object','properties':{'listener':" TEXT ",'name':" TEXT ",'subject':" TEXT
          ",'issuer':" TEXT ",'serial':" TEXT ",'names':" STRINGS ",'not_before':" TIME
          ",'not_after':" TIME ",'days_left':{'type':'integer'}}}")},
    {"Status",
     "{'type':'object','properties':{'version':" TEXT ",'started_at':" TIME ",'uptime_ms':" COUNT
     ",'pid':" COUNT ",'generation':" COUNT ",'workers':" COUNT ",'connections':" COUNT
     ",'requests':" COUNT ",'rates':{'type':'object','properties':{'requests':" NUMBER
     "}},'in_flight':" COUNT "," PROTOCOLS "," GRPC "," HTTP2
     ",'abusive':{'type':'integer','minimum':0,'description':'Connections of clients that ended "
     "for abuse.'},'config_file':" TEXT ",'state_dir':" TEXT ",'restart_needed':" STRINGS
     ",'store':{'type':'object','properties':{'kind':" OR_TEXT
     ",'state':{'enum':['ok','failed','read_only','none']},'detail':" TEXT
     "}},'reload':{'type':['object','null'],'description':'The last reload; null: there was "
     "none. A "
     "refused one has changed nothing.','properties':{'generation':" COUNT ",'time':" TIME
     ",'author':" TEXT ",'result':{'enum':['done','refused']},'detail':" OR_TEXT
     ",'mistakes':" STRINGS ",'mistake_count':" COUNT
     "}},'journal_pending':{'type':'array','items':{'type':'object','properties':{'id':" COUNT
     ",'until':" TIME
     "}}},'logs':{'type':'array','items':{'type':'object','properties':{'log':" TEXT
     ",'dropped':" COUNT ",'waiting':" COUNT ",'stuck':" BOOLEAN
     "}}},'hanging':{'type':'array','description':'Workers that have not come back for more than a "
     "second, and the calls of modules that they are in, the innermost first.','items':{'type':"
     "'object','properties':{'worker':" COUNT ",'for_ms':" COUNT
     ",'calls':{'type':'array','items':{'type':'object','properties':{'module':" TEXT
     ",'hook':" TEXT ",'place':" TEXT "}}}}}},'alarms':{'type':'array','description':'Blocks of "
     "modules that are out for too many strikes.','items':" MODULE_ALARM
     "},'quarantined':{'type':'array','description':'Modules in "
     "quarantine.','items':" MODULE_QUARANTINE
     "},'crash':{'type':['object','null'],'description':'How the run before ended; null: well, "
     "or an earlier start has told.','properties':{" FAULT ",'thread':" TEXT ",'module':" OR_TEXT
     "}},'health':{'enum':['ok','degraded']}}}"},
    {"Stats",
     "{'type':'object','required':['time','total','listeners','pools'],'properties':{'time':" TIME
     ",'total':{'type':'object'},'listeners':{'type':'object'},'pools':{'type':'object'}}}"},
    {"Files", "{'type':'object','properties':{'files':{'type':'array','items':{'type':'object',"
              "'properties':{'path':" TEXT ",'text':" TEXT "}}}}}"},
    {"Check", "{'type':'object','required':['ok'],'properties':{'ok':" BOOLEAN
              ",'mistakes':" STRINGS ",'restart_needed':" STRINGS "}}"},
    {"Reload",
     "{'type':'object','properties':{'generation':" COUNT ",'restart_needed':" STRINGS
     ",'contradictions':{'type':'array','items':{'type':'object','properties':{'pool':" TEXT
     ",'server':" TEXT ",'field':" TEXT
     ",'file':{},'runtime':{}}}},'settled':{'type':'array','description':'Servers, as POOL/ID, "
     "whose runtime changes the files now contain: the files alone define them from then on.',"
     "'items':" TEXT "}}}"},
    {"Entry",
     "{'type':'object','required':['id','time','author','command','target','state'],"
     "'properties':{'id':" COUNT ",'time':" TIME ",'author':" TEXT ",'command':" TEXT
     ",'target':" TEXT
     ",'before':{'type':['object','null']},'after':{'type':['object','null']},'state':"
     "{'enum':['done','undone','pending','expired','refused']},'confirm_until':" OR_TIME
     ",'undo_of':{'type':['integer','null']},'confirmed_by':" TEXT
     ",'undone':{'type':'object','description':'Answer of an undo: the entry that it took "
     "back.'},'skipped':{'type':'array','description':'Answer of an undo of the last: later "
     "changes that cannot be taken back.','items':{'type':'object','properties':{'id':" COUNT
     ",'command':" TEXT ",'target':" TEXT ",'why':" TEXT "}}}}}"},
    {"Journal",
     "{'type':'object','required':['entries','cursor'],'properties':{'entries':{'type':'array',"
     "'items':" REF("Entry") "},'cursor':{'type':['integer','null']}}}"},
    {"Explanation",
     "{'type':'object','properties':{'listener':" TEXT
     ",'protocol':{'type':'object','description':'What the listener offers to clients, and what "
     "the pool speaks to its servers.','properties':{" OFFERS ",'server':" OR_TEXT "}}"
     ",'filters':{'type':'array','description':'Filters in the order in which they see the "
     "request, up to "
     "the one that would answer it.','items':{'type':'object','properties':{'module':" TEXT
     ",'in':{'enum':['listener','route','pool']},'verdict':{'enum':['passes','answers','fails',"
     "'unknown','out'],"
     "'description':'unknown: the filter cannot be asked without a side effect. out: Weir goes on "
     "without it; status 503 where it is closed.'},'status':"
     "{'type':['integer','null']},'why':" OR_TEXT "}}}"
     ",'route':{'type':['object','null'],'properties':{'name':" OR_TEXT
     ",'tried':{'type':'array','description':'Rules that were looked at, in the order in which "
     "they "
     "go before each other; a router that does not tell its rules is one.',"
     "'items':{'type':'object',"
     "'properties':{'module':" TEXT ",'name':" TEXT
     ",'match':{'type':'boolean','description':'Whether it decides.'},"
     "'verdict':{'enum':['wins','fits','differs'],'description':'fits: it would, but another goes "
     "before it.'},'why':" TEXT "}}},"
     "'left_out':{'type':'integer','minimum':0,'description':'More rules, further from the "
     "request than those that are told.'}}},'pool':" OR_TEXT
     ",'sticky':{'type':'object','properties':{'verdict':{'enum':['none','known','lost','out']},"
     "'server':" OR_TEXT
     "}},'balancer':{'type':['object','null'],'description':'Who picks: the balancer, or while it "
     "is out Weir itself as fallback says.','properties':{'module':" TEXT ",'out':" BOOLEAN
     ",'fallback':" OR_TEXT
     "}},'candidates':{'type':'array','items':{'type':'object','properties':{'id':" TEXT
     ",'eligible':" BOOLEAN ",'why':" TEXT
     ",'protocol':{'type':['string','null'],'description':'null: ALPN decides.'},'weight':" NUMBER
     ",'in_flight':" COUNT ",'latency_ms':" MAYBE
     ",'score':{'type':['number','null'],'description':'The balancer takes the lowest. null: it "
     "has no "
     "number, or the server is no candidate. Turns are those of the loop that answers; each worker "
     "keeps its own.'},'score_text':" OR_TEXT "}}},'pick':" OR_TEXT
     ",'shadow_pick':{'type':['string','null'],'description':'The server that the shadow would "
     "choose; null: it is not asked, or names nobody.'}"
     ",'answer':{'type':['object','null'],'properties':{'status':" COUNT ",'reason':" TEXT "}}}}"},
    {NULL, NULL},
};
