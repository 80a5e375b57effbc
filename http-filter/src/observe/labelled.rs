//! Figures with labels: per route, per server of a pool, per rule. Labels are names that stand in the configuration (or in
//! this code), never what a client sent; and there is a limit on top. They outlive reloads, so counters never fall.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::config::Config;
use common::observe::exposition::{Kind, Page};
use common::observe::histogram::Histogram;
use common::observe::metrics::{Families, Figure};

/// Names of one kind at most; later ones share the label `other`.
const MOST: usize = 4096;
const OTHER: &str = "other";

/// Pool and server.
type Labels<'a> = [(&'static str, &'a str); 2];

/// All of them; clones share.
#[derive(Debug, Clone, Default)]
pub struct Labelled(Rc<Tables>);

#[derive(Debug, Default)]
struct Tables {
    routes: Table<RouteFigures>,
    pools: Table<PoolFigures>,
    rules: Table<RuleFigures>,
}

/// Of one route.
#[derive(Debug, Default)]
pub struct RouteFigures {
    /// Requests by the first digit of their status, 1 to 5; 0: no answer was begun.
    pub statuses: [Figure; 6],
    /// From the head of the request to the last byte of the answer.
    pub total: Histogram,
    /// From the head of the request to the head of the answer.
    pub first_byte: Histogram,
    /// Bytes of request bodies.
    pub bytes_in: Figure,
    /// Bytes of answer bodies.
    pub bytes_out: Figure,
}

/// Of one pool: its servers.
#[derive(Debug, Default)]
pub struct PoolFigures {
    servers: Table<ServerFigures>,
}

/// Of one server of a pool.
#[derive(Debug, Default)]
pub struct ServerFigures {
    /// Requests sent to it, tries counted one by one.
    pub requests: Figure,
    /// Of these, those that got no answer from it.
    pub failures: Figure,
    /// Of these, those that are being answered now.
    pub active: Figure,
    /// From sending to the head of the answer.
    pub first_byte: Histogram,
}

/// Of one rule or limit.
#[derive(Debug, Default)]
pub struct RuleFigures {
    /// Requests it refused.
    pub refused: Figure,
    /// Requests it would have refused, in observe mode.
    pub observed: Figure,
}

/// Names in the order in which they were first seen, each with its figures.
#[derive(Debug)]
struct Table<T>(RefCell<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    by_name: HashMap<Arc<str>, Rc<T>>,
    order: Vec<Arc<str>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(RefCell::new(Inner { by_name: HashMap::new(), order: Vec::new() }))
    }
}

impl<T: Default> Table<T> {
    fn get(&self, name: &str) -> Rc<T> {
        if let Some(known) = self.0.borrow().by_name.get(name) {
            return Rc::clone(known);
        }
        let full = self.0.borrow().order.len() >= MOST;
        if full && name != OTHER {
            return self.get(OTHER);
        }
        let (name, new) = (Arc::<str>::from(name), Rc::<T>::default());
        let inner = &mut *self.0.borrow_mut();
        inner.by_name.insert(Arc::clone(&name), Rc::clone(&new));
        inner.order.push(name);
        new
    }

    fn each(&self, mut show: impl FnMut(&str, &T)) {
        let inner = self.0.borrow();
        for name in &inner.order {
            if let Some(figures) = inner.by_name.get(name) {
                show(name, figures);
            }
        }
    }
}

impl Labelled {
    /// Makes every name of a configuration known, so that its figures begin with 0 and not with the first event.
    pub fn announce(&self, config: &Config) {
        let filter = &config.http_filter;
        for route in &filter.routes {
            self.route(&route.name);
        }
        let limits = filter.rate_limits.iter().map(|limit| &limit.name);
        let limits = limits.chain(filter.concurrency_limits.iter().map(|limit| &limit.name));
        for rule in filter.access.iter().map(|rule| &rule.name).chain(limits) {
            self.rule(rule);
        }
    }

    /// Figures of a route.
    pub fn route(&self, name: &str) -> Rc<RouteFigures> {
        self.0.routes.get(name)
    }

    /// Figures of a server.
    pub fn server(&self, pool: &str, server: &str) -> Rc<ServerFigures> {
        self.0.pools.get(pool).servers.get(server)
    }

    /// Figures of a rule or limit.
    pub fn rule(&self, name: &str) -> Rc<RuleFigures> {
        self.0.rules.get(name)
    }
}

impl RouteFigures {
    /// A request is over.
    pub fn ended(&self, status: u16, total: Duration) {
        let class = usize::from(status / 100);
        if let Some(figure) = self.statuses.get(class).or(self.statuses.first()) {
            figure.up();
        }
        self.total.observe(total);
    }
}

impl Families for Labelled {
    fn families(&self, page: &mut Page) {
        self.routes(page);
        self.servers(page);
        page.family("rule_refused", Kind::Counter, "requests that a rule or limit refused");
        self.0.rules.each(|rule, figures| page.sample(&[("rule", rule)], figures.refused.get()));
        page.family("rule_observed", Kind::Counter, "requests that a rule in observe mode would have refused");
        self.0.rules.each(|rule, figures| page.sample(&[("rule", rule)], figures.observed.get()));
    }
}

impl Labelled {
    fn routes(&self, page: &mut Page) {
        let routes = &self.0.routes;
        page.family("route_requests", Kind::Counter, "requests of a route by the class of their status");
        routes.each(|route, figures| {
            let classes = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
            for (class, figure) in classes.into_iter().zip(&figures.statuses) {
                page.sample(&[("route", route), ("status", class)], figure.get());
            }
        });
        page.family("route_bytes_in", Kind::Counter, "bytes of request bodies of a route");
        routes.each(|route, figures| page.sample(&[("route", route)], figures.bytes_in.get()));
        page.family("route_bytes_out", Kind::Counter, "bytes of answer bodies of a route");
        routes.each(|route, figures| page.sample(&[("route", route)], figures.bytes_out.get()));
        page.family("route_total", Kind::Histogram, "from the head of a request to the last byte of its answer");
        routes.each(|route, figures| page.histogram(&[("route", route)], &figures.total));
        page.family("route_first_byte", Kind::Histogram, "from the head of a request to the head of its answer");
        routes.each(|route, figures| page.histogram(&[("route", route)], &figures.first_byte));
    }

    fn each_server(&self, mut show: impl FnMut(&Labels<'_>, &ServerFigures)) {
        self.0.pools.each(|pool, own| {
            own.servers.each(|server, figures| show(&[("pool", pool), ("server", server)], figures));
        });
    }

    fn servers(&self, page: &mut Page) {
        page.family("server_requests", Kind::Counter, "requests sent to a server, tries counted one by one");
        self.each_server(|labels, figures| page.sample(labels, figures.requests.get()));
        page.family("server_failures", Kind::Counter, "requests to which a server gave no answer");
        self.each_server(|labels, figures| page.sample(labels, figures.failures.get()));
        page.family("server_active", Kind::Gauge, "requests that a server is answering now");
        self.each_server(|labels, figures| page.sample(labels, figures.active.get()));
        page.family("server_first_byte", Kind::Histogram, "from sending a request to the head of the answer");
        self.each_server(|labels, figures| page.histogram(labels, &figures.first_byte));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_bounded_and_what_is_too_many_is_counted_together() {
        let labelled = Labelled::default();
        for number in 0..MOST + 10 {
            labelled.rule(&format!("rule-{number}")).refused.up();
        }
        assert_eq!(labelled.rule(OTHER).refused.get(), 10);
        assert_eq!(labelled.0.rules.0.borrow().order.len(), MOST + 1);
    }

    #[test]
    fn the_page_shows_what_was_counted() {
        let labelled = Labelled::default();
        let route = labelled.route("all");
        route.ended(204, Duration::from_millis(3));
        route.ended(0, Duration::from_millis(3));
        route.ended(999, Duration::from_millis(3));
        labelled.server("app", "127.0.0.1:80").requests.up();
        labelled.rule("no-\"admin").observed.up();
        let mut page = Page::new("http-filter", 1);
        labelled.families(&mut page);
        let text = page.finish();
        for line in [
            "bulkhead_http_filter_route_requests_total{instance=\"1\",route=\"all\",status=\"2xx\"} 1",
            "bulkhead_http_filter_route_requests_total{instance=\"1\",route=\"all\",status=\"none\"} 2",
            "bulkhead_http_filter_route_total_seconds_count{instance=\"1\",route=\"all\"} 3",
            "bulkhead_http_filter_server_requests_total{instance=\"1\",pool=\"app\",server=\"127.0.0.1:80\"} 1",
            "bulkhead_http_filter_rule_observed_total{instance=\"1\",rule=\"no-\\\"admin\"} 1",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} is missing in\n{text}");
        }
    }
}
