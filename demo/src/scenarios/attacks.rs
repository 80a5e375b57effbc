//! Attacks on the application: refused with a reference number, while the same words in a harmless sentence pass.
//!
//! The log line of a refusal names the rules (`attack_rules`); the client is told none.

use super::{ASK, Ask, BodyIs, EXPECT, Ending, Expect, H1, H2, Ip, Road, Scenario, Seen};
use crate::certificates::{API, WWW};

/// What the client is told: what happened, and by which number the operator finds it.
const REFUSED: Expect = Expect {
    ending: Ending::Status(403),
    body: BodyIs::Holds(&["looks like an attack", "reference number"]),
    ..EXPECT
};

const PASSED: Expect = Expect { body: BodyIs::Greeting(&[("path", Seen::Starts("/search"))]), ..EXPECT };

const WWW_H2: Road = Road::Tls { server_name: Some(WWW), alpn: H2, ip: Ip::V4 };
const API_H1: Road = Road::Tls { server_name: Some(API), alpn: H1, ip: Ip::V4 };

/// A form comes back as it was sent: it was looked at and nothing of it lost.
const FORM_PASSED: Expect = Expect { body: BodyIs::Holds(&["insert+coin", "o%27clock"]), ..EXPECT };

/// The rows.
pub const ROWS: &[Scenario] = &[
    Scenario {
        name: "attack-sql-query",
        about: "An SQL injection in the query is refused; the answer has a reference number for the operator",
        road: WWW_H2,
        ask: Ask { path: "/search?id=1%27+union+select+login,password+from+users+--+", ..ASK },
        expect: REFUSED,
        paste: true,
    },
    Scenario {
        name: "attack-sql-words",
        about: "The same words in a harmless sentence pass",
        road: WWW_H2,
        ask: Ask { path: "/search?q=please+select+users+from+the+union+--+it%27s+1+login+each", ..ASK },
        expect: PASSED,
        paste: true,
    },
    Scenario {
        name: "attack-sql-form",
        about: "The injection in a form: bodies are looked at as well",
        road: API_H1,
        ask: Ask { path: "/echo", form: "name=x%27%3B+drop+table+users%3B+--+&send=1", ..ASK },
        expect: REFUSED,
        paste: true,
    },
    Scenario {
        name: "attack-sql-form-words",
        about: "A harmless form arrives as it was sent",
        road: API_H1,
        ask: Ask { path: "/echo", form: "text=drop+the+table+at+5+o%27clock+or+insert+coin&send=1", ..ASK },
        expect: FORM_PASSED,
        paste: false,
    },
    Scenario {
        name: "attack-script-query",
        about: "A cross-site script is refused",
        road: WWW_H2,
        ask: Ask { path: "/search?q=%3Cscript%3Ealert(document.cookie)%3C/script%3E", ..ASK },
        expect: REFUSED,
        paste: true,
    },
    Scenario {
        name: "attack-script-words",
        about: "Talk about scripts and alerts passes",
        road: WWW_H2,
        ask: Ask { path: "/search?q=does+the+script+alert(1)+you+to+the+document%27s+cookie", ..ASK },
        expect: PASSED,
        paste: false,
    },
    Scenario {
        name: "attack-script-form",
        about: "The script in a form, over HTTP/2",
        road: WWW_H2,
        ask: Ask { path: "/echo", form: "comment=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E", ..ASK },
        expect: REFUSED,
        paste: false,
    },
];
