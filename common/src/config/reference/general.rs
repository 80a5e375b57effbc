//! Keys that belong to no single process, and the way out: `[bulkhead]`, `[passthrough-relay]`.

use super::*;

pub(super) const KEYS: &[Key] = &[
    table("bulkhead", "What all processes share.", ""),
    key(
        "bulkhead.runtime_dir",
        Kind::Text("an absolute path of at most 60 bytes"),
        value("\"/run/bulkhead\""),
        "Directory of the sockets between the processes and of their control sockets.",
        "The limit leaves room for the longest socket name (a UNIX socket path has at most 107 bytes).",
    ),
    key(
        "bulkhead.sandbox",
        Kind::Choice(&["best-effort", "strict"]),
        value("\"best-effort\""),
        "What happens when a layer of the sandbox does not hold on this machine.",
        "`best-effort` applies every layer the machine offers and reports the rest (`bulkhead sandbox`); `strict` refuses to \
         serve unless all of them hold.",
    ),
    key(
        "bulkhead.drain_deadline",
        duration(SECOND, HOUR),
        value("\"60s\""),
        "How long a process whose successor serves already waits for what it cannot hand on: requests under way, HTTP/2 streams.",
        "So it is when a process is scaled down or upgraded. Connections that can go on in the successor go there at once. Under systemd, \
         `TimeoutStopSec=` of the units (75 s) must be longer.",
    ),
    key(
        "bulkhead.stop_deadline",
        duration(SECOND, HOUR),
        value("\"5s\""),
        "The same while nobody else serves, as in a restart of the only instance: new clients wait meanwhile.",
        "Keep it shorter than `sni-router.hand_over_deadline`, which is how long they wait. `bulkhead up` gives each process 5 s \
         when everything stops.",
    ),
    key(
        "bulkhead.users",
        Kind::Choice(&["per-process"]),
        value("\"per-process\""),
        "Which user each process becomes when it was started as root.",
        "`per-process`: the user `bulkhead-<process>`, or a numeric user of its own when that one does not exist. Without \
         root every process stays who it is.",
    ),
    table(
        "passthrough-relay",
        "The only process that connects out: it joins passed-through clients to pools and dials for the others.",
        "",
    ),
    key("passthrough-relay.instances", integer(1, 64), value("1"), INSTANCES, INSTANCES_LONG),
    key(
        "passthrough-relay.idle_deadline",
        duration(SECOND, 7 * DAY),
        value("\"10m\""),
        "A connection on which no byte moves either way for so long is closed.",
        "",
    ),
    key(
        "passthrough-relay.half_closed_deadline",
        duration(SECOND, DAY),
        value("\"60s\""),
        "The same once one side has finished sending.",
        "",
    ),
    key(
        "passthrough-relay.user_timeout",
        duration(SECOND, HOUR),
        value("\"30s\""),
        "How long sent bytes may stay unacknowledged before the connection counts as dead (`TCP_USER_TIMEOUT`).",
        "",
    ),
    key(
        "passthrough-relay.max_connections",
        integer(1, MANY),
        value("16384"),
        "Connections relayed at once by one instance, in all.",
        "",
    ),
    key(
        "passthrough-relay.max_connections_per_address",
        integer(1, MANY),
        value("1024"),
        PER_ADDRESS,
        PER_ADDRESS_LONG,
    ),
    key(
        "passthrough-relay.splice_pipes",
        integer(0, 1024),
        value("16"),
        "Pipes of 1 MiB through which busy connections are moved inside the kernel.",
        "0: bytes are always copied. A connection holds a pipe only while there are bytes in it.",
    ),
    key(
        "passthrough-relay.resolve_deadline",
        duration(100, MINUTE),
        value("\"5s\""),
        "Time for one name to resolve.",
        "",
    ),
    table(
        "passthrough-relay.outward",
        "Exceptions from the address guard: what clients of forward-proxy may reach.",
        "Without exceptions loopback, private, link-local, shared, multicast and reserved addresses are closed, also in \
         their IPv4-in-IPv6 forms, and everything else is open. The address that is connected to is judged, not the name. \
         Pools are not concerned: their servers are named in this file.",
    ),
    key(
        "passthrough-relay.outward.allow",
        list_or_empty(NETWORK),
        value("[]"),
        "Networks that are open although they are private.",
        "",
    ),
    key(
        "passthrough-relay.outward.deny",
        list_or_empty(NETWORK),
        value("[]"),
        "Networks that are closed although they are public; wins over `allow`.",
        "",
    ),
];
