//! Explains what the gate would decide for a sample request and a test subject, and why.
//!
//! This module decides nothing itself: it runs the same steps as for every request and
//! records their results.

#[cfg(feature = "config")]
mod cases;
mod outcome;
mod sample_request;
mod test_subject;
mod wording;

use std::sync::Arc;

use http::Method;
use http::header::{COOKIE, HeaderMap, HeaderValue};

#[cfg(feature = "config")]
pub use cases::{Case, Cases};
pub use outcome::Outcome;
pub use sample_request::{NotAnAddress, SampleRequest};
pub use test_subject::{TestSubject, TestSubjectError};

use crate::client::{Client, OwnOrigin, TrustedProxies};
use crate::forward_auth::Contract;
use crate::gate::{Gate, Refusal, RequestView};
use crate::identity::Person;
use crate::oauth2::Endpoint;
use crate::policy::{
    BearerUse, Match, PathReadings, Policy, RouteAccess, RouteQuery, RuleEvaluation, Verdict, folded,
    readings,
};
use crate::session::{Inspected, SessionReport};
use test_subject::in_short;

/// The client of the sample request.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Who<'a> {
    /// Nobody is signed in.
    Nobody,
    /// A test subject.
    TestSubject(&'a TestSubject),
    /// The person whom a session cookie belongs to.
    Session(&'a SessionReport),
}

/// The decision of the gate, and the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The method of the request: `OPTIONS`, if it is a preflight.
    pub method: Method,
    /// The host of the request, in the normalized form in which routes are compared.
    pub host: String,
    /// Whether the host is the public URL's or a route's.
    pub host_is_known: bool,
    /// The path, as it is sent.
    pub path: String,
    /// The readings of the path by different servers; the first is the path as it was
    /// sent.
    pub readings: Vec<Reading>,
    /// A short description of the person; `None` if nobody is signed in.
    pub who: Option<String>,
    /// The index of the route; `None` if no route matches.
    pub route: Option<usize>,
    /// The outcome of the request.
    pub outcome: Outcome,
    /// The reason, as a sentence.
    pub why: String,
    /// The evaluated entries of `deny` and `allow`, in order.
    pub entries: Vec<Entry>,
}

/// One reading of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The path.
    pub path: String,
    /// The destination of the path.
    pub leads: Destination,
}

/// The destination of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// A route.
    Route(usize),
    /// No route: the gate's own access list applies.
    Everywhere,
    /// The gate's own endpoints.
    Endpoint,
}

/// An entry of `allow` or `deny`, and its evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The configuration key: `access.deny[0]`, `route[2].allow[1]`.
    pub key: String,
    /// A description of the people whom the rule describes.
    pub rule: String,
    /// Whether the rule matches. A `deny` refuses access unless this is [`Match::No`]; an
    /// `allow` is satisfied only by [`Match::Yes`].
    pub matches: Match,
    /// The reasons: one per condition if the rule matches, otherwise the conditions that
    /// do not match.
    pub because: Vec<String>,
}

impl Gate {
    /// Explains what the gate would decide for a request. The decision is made by the
    /// same code as for requests; the provider is not contacted.
    ///
    /// Use it to test the rules of an app:
    ///
    /// ```
    /// use http::Method;
    /// use huggate::explain::{SampleRequest, Outcome, TestSubject, Who};
    ///
    /// # fn check(gate: &huggate::Gate) -> Result<(), Box<dyn std::error::Error>> {
    /// let admin = SampleRequest::new(Method::GET, "/admin")?;
    /// let ben = TestSubject::named("ben")?.in_org("acme:read")?;
    /// assert_eq!(gate.explain(&admin, Who::Nobody).outcome, Outcome::SignIn);
    /// assert_eq!(gate.explain(&admin, Who::TestSubject(&ben)).outcome, Outcome::Refuse);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn explain(&self, request: &SampleRequest, who: Who<'_>) -> Explanation {
        let gate = &*self.inner;
        let parts = request.parts(&gate.oauth2.urls.public_url);
        let mut explanation = Explanation {
            method: parts.method.clone(),
            host: String::new(),
            host_is_known: false,
            path: parts.uri.path().to_owned(),
            readings: Vec::new(),
            who: who.person().map(in_short),
            route: None,
            outcome: Outcome::BadRequest,
            why: String::new(),
            entries: Vec::new(),
        };
        // The same steps as in `Ruleset::decide`.
        let own = OwnOrigin { host: &Arc::default(), https: gate.oauth2.urls.public_url.is_https() };
        let Ok(client) = Client::resolve(None, (&parts).into(), &TrustedProxies::default(), own) else {
            return explanation.refused(&Refusal::NoHost);
        };
        explanation.host_is_known = gate.oauth2.is_sign_in_host(&client.host);
        client.host.as_ref().clone_into(&mut explanation.host);
        let view = RequestView::of((&parts).into(), &client);
        if let Some(rest) = gate.oauth2.urls.prefix.rest_of(view.path) {
            explanation.outcome = Outcome::Endpoint;
            explanation.why = if Contract::of(rest).is_some() || Endpoint::named(rest).is_some() {
                "huggate answers this endpoint itself, and no rule is evaluated".to_owned()
            } else {
                "huggate has no endpoint of this name (404)".to_owned()
            };
            return explanation;
        }
        let preflight = view.preflight();
        let query = RouteQuery {
            host: view.host,
            by_name: false,
            method: view.method,
            preflight: preflight.as_ref(),
        };
        let policy = &gate.ruleset.policy;
        explanation.readings = readings_of(policy, view.path, query);
        match gate.ruleset.place(view, query) {
            Ok(route) => explanation.route = route,
            Err(refusal) => return explanation.refused(&refusal),
        }
        explain_verdict(policy, explanation, query, who)
    }

    /// Reads a session cookie: the value alone, or a `Cookie` line that contains it. This
    /// changes no session.
    pub async fn inspect(&self, cookie: &str) -> Inspected {
        let sessions = &self.inner.oauth2.sessions;
        let mut headers = HeaderMap::new();
        for line in cookie.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let is_named = line.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("cookie:"));
            let line = if is_named { line.get(7..).unwrap_or_default().trim() } else { line };
            let bare = !line.contains(['=', ';', ' ']);
            let line =
                if bare { format!("{}={line}", sessions.cookies().session_name()) } else { line.to_owned() };
            headers.extend(HeaderValue::from_str(&line).ok().map(|line| (COOKIE, line)));
        }
        sessions.inspect(&headers).await
    }
}

/// Every reading of a path, and its destination.
fn readings_of(policy: &Policy, path: &str, query: RouteQuery<'_>) -> Vec<Reading> {
    let several = match readings(path) {
        Ok(PathReadings::Plain) => vec![path.as_bytes().to_vec()],
        Ok(PathReadings::Several(several)) => several,
        Err(_) => Vec::new(),
    };
    let mut listed = Vec::new();
    for reading in &several {
        let found = policy.routes.find(query, reading);
        let leads = match found {
            _ if policy.own.prefix.covers(reading) => Destination::Endpoint,
            Some(route) => Destination::Route(route),
            None => Destination::Everywhere,
        };
        listed.push(Reading { leads, path: String::from_utf8_lossy(reading).into_owned() });
        if let Some(rival) = policy.rival(query, reading, found) {
            let path = String::from_utf8_lossy(&folded(reading, &mut [])).into_owned();
            listed.push(Reading { leads: Destination::Route(rival), path });
        }
    }
    listed
}

/// Explains whether the person may enter the route, and which rule decides.
fn explain_verdict(
    policy: &Policy,
    mut explanation: Explanation,
    query: RouteQuery<'_>,
    who: Who<'_>,
) -> Explanation {
    let index = explanation.route;
    let route = index.and_then(|index| policy.routes.get(index));
    let here = index.map_or("access".to_owned(), |index| format!("route[{index}]"));
    if let (Some(about), Some(route)) = (query.preflight, route.filter(|route| route.takes_preflights())) {
        explanation.outcome = Outcome::Public;
        explanation.why =
            format!("it is a CORS preflight for {about}, which {here} lets pass without an identity");
        if !route.preflight {
            let origins: Vec<String> = route.cors.iter().map(ToString::to_string).collect();
            explanation.why.push_str(&format!(" if it is from {}", origins.join(" or ")));
        }
        return explanation;
    }
    let tokens_alone = route.is_some_and(|route| route.bearer == BearerUse::Only);
    let person = match who {
        Who::Session(_) if tokens_alone => None,
        who => who.person(),
    };
    let entries = &mut explanation.entries;
    let verdict = policy.decide_with(index, person, |evaluation| {
        entries.extend(person.map(|person| evaluation.entry(person)));
    });
    let inherits = route.is_none_or(|route| route.access == RouteAccess::Inherited);
    let list = if inherits { "access.allow".to_owned() } else { format!("{here}.allow") };
    let last = explanation.entries.last().map_or("", |entry| entry.key.as_str());
    (explanation.outcome, explanation.why) = match verdict {
        Verdict::Public => (Outcome::Public, format!("{here} lets in everybody, signed in or not")),
        Verdict::Anyone => (Outcome::Allow, format!("{list} lets in every account")),
        Verdict::Allowed => (Outcome::Allow, format!("{last} lets them in")),
        Verdict::Nobody if tokens_alone => {
            (Outcome::SignIn, format!("{here} accepts only tokens of API clients: 401, without a sign-in"))
        }
        Verdict::Nobody => (Outcome::SignIn, "nobody is signed in, and the route is not public".to_owned()),
        Verdict::Denied(RuleEvaluation { matches: Match::Unknown, .. }) => {
            (Outcome::Refuse, format!("{last} may match, and a deny that may match refuses access"))
        }
        Verdict::Denied(_) => (Outcome::Refuse, format!("{last} matches, and a deny overrides every allow")),
        Verdict::NotHeld(evaluation) => (
            Outcome::Refuse,
            format!(
                "the session does not hold what {} needs, since the rules of its sign-in did not name it; \
                 huggate asks Hugging Face before it decides, and answers 503 until it knows",
                evaluation.key()
            ),
        ),
        Verdict::NotAllowed(_) => {
            let unknown = explanation.entries.iter().any(|entry| entry.matches == Match::Unknown);
            let unknown = if unknown { "; an entry that is not known to match lets nobody in" } else { "" };
            (Outcome::Refuse, format!("no entry of {list} lets them in{unknown}"))
        }
    };
    explanation
}

impl RuleEvaluation<'_> {
    fn key(&self) -> String {
        let table = self.of_route.map_or("access".to_owned(), |index| format!("route[{index}]"));
        let list = if self.allow { "allow" } else { "deny" };
        format!("{table}.{list}[{}]", self.index)
    }

    fn entry(&self, person: &Person) -> Entry {
        Entry {
            key: self.key(),
            rule: self.rule.to_string(),
            matches: self.matches,
            because: self.rule.because(person, self.missing),
        }
    }
}

impl<'a> Who<'a> {
    fn person(self) -> Option<&'a Person> {
        match self {
            Self::Nobody => None,
            Self::TestSubject(subject) => Some(&subject.person),
            Self::Session(session) => session.in_force.then(|| session.user.person()),
        }
    }
}

impl Explanation {
    fn refused(mut self, refusal: &Refusal) -> Self {
        self.why = match refusal {
            Refusal::AmbiguousPath if self.readings.is_empty() => {
                "the path has more readings than huggate evaluates".to_owned()
            }
            Refusal::AmbiguousPath => {
                "servers interpret the path in different ways, which lead to different decisions".to_owned()
            }
            Refusal::NoPath => "the target is not a path".to_owned(),
            Refusal::NoHost => {
                "it does not name exactly one host, or uses a port that is not configured".to_owned()
            }
            other => format!("it is refused: {}", other.code()),
        };
        self
    }
}

#[cfg(test)]
mod tests;
