//! Records spans and events with their fields, for this thread.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_core::span::Current;

/// The fields of a span or an event, by name.
pub(crate) type Fields = BTreeMap<String, String>;

/// An event.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) level: Level,
    pub(crate) target: String,
    pub(crate) fields: Fields,
}

/// Records what is traced on this thread, up to a level.
pub(crate) struct Collector {
    state: Arc<Mutex<State>>,
    _guard: tracing::subscriber::DefaultGuard,
    _second: tracing::Dispatch,
}

#[derive(Default)]
struct State {
    events: Vec<Recorded>,
    /// In the order in which they were made.
    spans: Vec<Fields>,
    metadata: HashMap<u64, &'static Metadata<'static>>,
    entered: Vec<Id>,
}

struct Subscribed {
    state: Arc<Mutex<State>>,
    level: Level,
}

struct Visitor<'a>(&'a mut Fields);

impl Collector {
    pub(crate) fn start(level: Level) -> Self {
        let state = Arc::<Mutex<State>>::default();
        // While there is only one subscriber, tracing asks the first thread that reaches a
        // line whether it is enabled, and caches a negative answer for all threads.
        let second = tracing::Dispatch::new(Subscribed { state: Arc::default(), level: Level::TRACE });
        let subscriber = Subscribed { state: Arc::clone(&state), level };
        Self { state, _guard: tracing::subscriber::set_default(subscriber), _second: second }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The events since the last call whose target is this.
    pub(crate) fn take(&self, target: &str) -> Vec<Recorded> {
        let mut events = std::mem::take(&mut self.state().events);
        events.retain(|event| event.target == target);
        events
    }

    /// Everything that is recorded, as text.
    pub(crate) fn text(&self) -> String {
        let state = self.state();
        format!("{:#?} {:#?}", state.events, state.spans)
    }

    /// The fields of the spans since the last call.
    pub(crate) fn take_spans(&self) -> Vec<Fields> {
        // Spans that are open record no more.
        std::mem::take(&mut self.state().spans)
    }
}

impl Recorded {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl Subscriber for Subscribed {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut state = self.state.lock().unwrap();
        let mut fields = Fields::new();
        attributes.record(&mut Visitor(&mut fields));
        state.spans.push(fields);
        let id = Id::from_u64(state.metadata.len() as u64 + 1);
        state.metadata.insert(id.into_u64(), attributes.metadata());
        id
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut state = self.state.lock().unwrap();
        // The tests make one span for each request, one after the other.
        let (all, kept) = (state.metadata.len() as u64, state.spans.len() as u64);
        let index = (span.into_u64() + kept).checked_sub(all + 1).unwrap();
        values.record(&mut Visitor(&mut state.spans[usize::try_from(index).unwrap()]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Visitor(&mut fields));
        let metadata = event.metadata();
        let target = metadata.target().to_owned();
        self.state.lock().unwrap().events.push(Recorded { level: *metadata.level(), target, fields });
    }

    fn enter(&self, span: &Id) {
        self.state.lock().unwrap().entered.push(span.clone());
    }

    fn exit(&self, span: &Id) {
        let mut state = self.state.lock().unwrap();
        let last = state.entered.iter().rposition(|id| id == span).unwrap();
        state.entered.remove(last);
    }

    fn current_span(&self) -> Current {
        let state = self.state.lock().unwrap();
        match state.entered.last() {
            Some(id) => Current::new(id.clone(), state.metadata[&id.into_u64()]),
            None => Current::none(),
        }
    }
}
