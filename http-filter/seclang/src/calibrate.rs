//! How much work this machine does in a millisecond, and everything warm before the first client waits.
//!
//! Patterns build their automata while they run, so the first requests after loading cost some milliseconds more than others. [`RuleSet::calibrate`]
//! runs all patterns and ordinary requests of all kinds until that is over. What it warms is the thread's (`workshop`), so each thread that is to run
//! rules calls it, or [`RuleSet::warm`]. The crate has no clock of its own: the caller lends one, best that of its thread's time on a
//! processor.

use std::sync::Arc;
use std::time::Duration;

use crate::operator::Operator;
use crate::ruleset::RuleSet;
use crate::transaction::Transaction;
use crate::workshop::{self, Workshop};

/// How long is measured; short, because somebody waits for the rules.
const MEASURED: Duration = Duration::from_millis(20);
/// Rounds of requests after which measuring ends, should the clock stand still.
const ROUNDS: usize = 2_000;
/// Rounds that are run before.
const WARM: usize = 2;
/// What is answered if nothing can be measured: 10 million units are some 30 ms.
const USUAL: u64 = 300_000;

/// Method, target, content type, body.
type Request = (&'static [u8], &'static [u8], &'static [u8], &'static [u8]);

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Requests as sites get them, and a few attacks.
const REQUESTS: &[Request] = &[
    (b"GET", b"/", b"", b""),
    (b"GET", b"/static/app-3f2a1b.js?v=12", b"", b""),
    (b"GET", b"/shop/list?page=2&sort=price&category=garden+tools&q=Blue%20watering-can%2C+10%25+off&ids[]=1&ids[]=2", b"", b""),
    (b"GET", b"/search?q=It%27s+a+%22quoted%22+text+%28really%29+%3D%3E+%5Bx%5D&next=https%3A%2F%2Fwww.example.org%2Fa%2Fb%3Fc%3Dd", b"", b""),
    (b"GET", b"/?id=1'+union+select+password+from+users--+-&x=%3Cscript%3Ealert(1)%3C/script%3E&f=../../../../etc/passwd&c=;cat+/etc/passwd|sh", b"", b""),
    (b"POST", b"/contact", FORM, b"name=J%C3%B6rg+O%27Neill&email=joerg%40example.org&text=Dear+all%2C%0D%0Aplease+select+a+table+from+the+list%21+%3A-%29"),
    (b"POST", b"/api/items", b"application/json", br#"{"id":17,"name":"Blue can","tags":["a","b"],"price":12.5,"text":"<b>It's \"new\"</b>; a=b && c","ok":true}"#),
    (b"POST", b"/soap", b"text/xml", b"<?xml version=\"1.0\"?><a b=\"c d\"><e>It's text, isn't it?</e><f>12</f></a>"),
    (
        b"POST",
        b"/upload",
        b"multipart/form-data; boundary=b",
        b"--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHolidays (2026)\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; \
          filename=\"photo 1.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xe0\r\n--b--\r\n",
    ),
];

/// What patterns meet first: words, numbers, signs, what is encoded.
const VALUES: &[&[u8]] = &[
    b"index.html",
    b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    b"It's a \"quoted\" text (really) => [x]; a=b && c, {10%} of #1 | $2 <b>or</b> `so` ../a\\b~ @home *x* 2026-11-23 12:30",
    b"select a table from the list and order by name",
];

impl RuleSet {
    /// Warms everything that is filled while rules run, and returns how many units of [`Transaction::work`] this machine does in a millisecond
    /// (at least 1), for [`Transaction::set_budget`]. `clock` tells how long the thread has run since some moment; the time on a processor
    /// is best, because then other load does not count. Takes some 50 ms. What is warmed is the thread's: call it
    /// before the rules are used, on each thread that will use them; all its transactions find it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Instant;
    /// use seclang::{RuleSet, Settings, Transaction};
    ///
    /// let rules = RuleSet::load_text(r#"SecRule ARGS "@rx [0-9]{17}" "id:1,deny""#, Settings::default()).map_err(|mistakes| mistakes[0].clone())?;
    /// let (rules, start) = (Arc::new(rules), Instant::now());
    /// let units = rules.calibrate(&mut || start.elapsed());
    /// let mut transaction = Transaction::new(rules, None);
    /// transaction.set_budget(50 * units); // 50 ms
    /// # Ok::<(), seclang::LoadError>(())
    /// ```
    pub fn calibrate(self: &Arc<Self>, clock: &mut dyn FnMut() -> Duration) -> u64 {
        let mut transaction = self.warmed();
        let start = clock();
        let (mut units, mut passed) = (0_u64, Duration::ZERO);
        for _ in 0..ROUNDS {
            units = units.saturating_add(round(&mut transaction));
            passed = clock().saturating_sub(start);
            if passed >= MEASURED {
                break;
            }
        }
        match u64::try_from(passed.as_micros()) {
            Ok(micros) if micros > 0 => (units.saturating_mul(1000) / micros).max(1),
            _ => USUAL,
        }
    }
}

impl RuleSet {
    /// Warms this thread, as [`RuleSet::calibrate`] does, without measuring: for each further thread that is to run the rules. Takes some 10 ms at
    /// level 1; without it, the thread's first requests take some milliseconds more.
    pub fn warm(self: &Arc<Self>) {
        let _ = self.warmed();
    }

    fn warmed(self: &Arc<Self>) -> Transaction {
        self.warm_patterns();
        let mut transaction = Transaction::new(Arc::clone(self), None);
        for _ in 0..WARM {
            round(&mut transaction);
        }
        transaction
    }

    /// Lets every pattern that is expected to run do so.
    fn warm_patterns(&self) {
        let Workshop { state, mut caches } = workshop::borrow(self.stamp);
        caches.begin(self.settings.cache);
        for rule in &self.rules {
            rule.operators(&mut |operator| {
                if let Operator::Rx(rx) = operator {
                    rx.warm(VALUES, &mut caches);
                }
            });
        }
        // Nobody pays for these.
        let _ = caches.made();
        workshop::give_back(self.stamp, Workshop { state, caches });
    }
}

/// Runs all requests; the work they were.
fn round(transaction: &mut Transaction) -> u64 {
    let mut units = 0;
    for (method, target, kind, body) in REQUESTS {
        transaction.begin(1, b"warm-up");
        transaction.request_line(method, target, b"HTTP/1.1");
        let length = body.len().to_string();
        let mut headers: Vec<(&[u8], &[u8])> = vec![
            (b"Host", b"www.example.org"),
            (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
            (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            (b"Accept-Language", b"en-US,en;q=0.5"),
            (b"Accept-Encoding", b"gzip, deflate, br"),
            (b"Cookie", b"session=0123456789abcdef; theme=dark; _ga=GA1.2.1234567890.1600000000"),
            (b"Referer", b"https://www.example.org/start?from=mail"),
        ];
        if !kind.is_empty() {
            headers.extend([(&b"Content-Type"[..], *kind), (&b"Content-Length"[..], length.as_bytes())]);
        }
        headers.iter().for_each(|(name, value)| transaction.request_header(name, value));
        let _ = transaction.request_headers();
        let _ = transaction.request_body(body);
        transaction.response_header(b"Content-Type", b"text/html; charset=utf-8");
        let _ = transaction.response_headers(200, b"HTTP/1.1");
        let _ = transaction.response_body(
            b"<!DOCTYPE html><html><head><title>A page</title></head><body><p>It's fine.</p></body></html>",
        );
        transaction.logging();
        units += transaction.work();
    }
    units
}
