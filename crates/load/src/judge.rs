//! Whether a reply is the right one: status, length, body.

use std::sync::{Arc, OnceLock};

use crate::class::Class;
use crate::head::Template;
use crate::plan::{BodyCheck, Plan};

/// Most bytes of a body that are kept and compared; beyond them only the length counts.
const BODY_BYTES_COMPARED_MAX: usize = 64 << 20;

/// The first correct body of the run; every later one must equal it.
#[derive(Debug)]
pub(crate) struct Model {
    bytes: Vec<u8>,
    length: u64,
}

/// What all connections of a thread compare their replies with.
#[derive(Debug)]
pub(crate) struct Judge {
    /// The head that replies are expected to begin with.
    pub(crate) template: Template,
    /// Replies have no body whatever their head says (HEAD).
    pub(crate) bodiless: bool,
    expect_status: Option<u16>,
    check: BodyCheck,
    model: Arc<OnceLock<Model>>,
}

impl Judge {
    /// A judge that shares the model body with those of the other threads.
    pub(crate) fn new(plan: &Plan, model: Arc<OnceLock<Model>>) -> Self {
        Self {
            template: Template::default(),
            bodiless: plan.method == "HEAD",
            expect_status: plan.expect_status,
            check: plan.body_check,
            model,
        }
    }

    fn status_class(&self, status: u16) -> Option<Class> {
        let expected = match self.expect_status {
            Some(expected) => status == expected,
            None => (200..300).contains(&status),
        };
        match status {
            _ if expected => None,
            503 => Some(Class::Shed),
            _ => Some(Class::Status),
        }
    }

    /// Judges a reply whose whole body lies in one slice.
    #[inline]
    pub(crate) fn whole(&self, status: u16, body: &[u8]) -> Option<Class> {
        if let Some(model) = self.model.get()
            && self.check == BodyCheck::Exact
            && body.len() <= BODY_BYTES_COMPARED_MAX
        {
            let class = self.status_class(status);
            return class.or_else(|| (model.bytes != body).then_some(Class::WrongBody));
        }
        let mut comparison = Comparison::new(self, status);
        comparison.feed(self, body);
        comparison.finish(self)
    }
}

/// The comparison of one reply's body while it arrives.
#[derive(Debug)]
pub(crate) struct Comparison {
    class: Option<Class>,
    position: u64,
    /// The body itself, when there is no model yet.
    learned: Option<Vec<u8>>,
}

impl Comparison {
    /// Begins with the reply's status.
    pub(crate) fn new(judge: &Judge, status: u16) -> Self {
        let class = judge.status_class(status);
        let learns =
            class.is_none() && judge.check != BodyCheck::None && judge.model.get().is_none();
        Self {
            class,
            position: 0,
            learned: learns.then(Vec::new),
        }
    }

    /// Takes the next bytes of the body.
    pub(crate) fn feed(&mut self, judge: &Judge, bytes: &[u8]) {
        let start = usize::try_from(self.position).unwrap_or(usize::MAX);
        self.position += bytes.len() as u64;
        let kept = &bytes[..bytes
            .len()
            .min(BODY_BYTES_COMPARED_MAX.saturating_sub(start))];
        if let Some(learned) = &mut self.learned {
            learned.extend_from_slice(kept);
        } else if self.class.is_none()
            && judge.check == BodyCheck::Exact
            && let Some(model) = judge.model.get()
            && model
                .bytes
                .get(start..)
                .is_none_or(|rest| !rest.starts_with(kept))
            && !kept.is_empty()
        {
            self.class = Some(Class::WrongBody);
        }
    }

    /// The verdict on the whole reply; `None` when it is correct.
    pub(crate) fn finish(&mut self, judge: &Judge) -> Option<Class> {
        if self.class.is_some() || judge.check == BodyCheck::None {
            return self.class;
        }
        let learned = self.learned.take();
        let model = judge.model.get_or_init(|| Model {
            bytes: learned.clone().unwrap_or_default(),
            length: self.position,
        });
        // Two replies may have been learned at once; the second is then compared after all.
        let differs =
            judge.check == BodyCheck::Exact && learned.is_some_and(|bytes| bytes != model.bytes);
        (differs || model.length != self.position).then_some(Class::WrongBody)
    }
}
