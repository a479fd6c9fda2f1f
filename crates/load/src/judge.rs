//! Whether a reply is the right one: status, length, body.

use std::sync::{Arc, OnceLock};

use schema::load::BodyCheck;

use crate::class::Class;
use crate::head::{Facts, Framing, Template};
use crate::plan::Plan;

/// Most bytes of a body that are kept and compared; beyond them only the length counts.
const BODY_BYTES_COMPARED_MAX: usize = 64 << 20;

/// The first correct body of the run; every later one must equal it.
#[derive(Debug)]
pub(crate) struct Model {
    bytes: Vec<u8>,
    length: u64,
}

/// The first correct bodies of a run, shared by its threads.
pub(crate) type Models = Arc<[OnceLock<Model>]>;

/// Room for the first correct body of every kind of request and every expected status: a reply is
/// compared with its like.
pub(crate) fn models(plan: &Plan) -> Models {
    let kinds = plan.requests.len().max(1);
    let statuses = plan.expect_status.len().max(1);
    (0..kinds * statuses).map(|_| OnceLock::new()).collect()
}

/// What all connections of a thread compare their replies to one kind of request with.
#[derive(Debug)]
pub(crate) struct Judge {
    /// The head that replies are expected to begin with.
    pub(crate) template: Template,
    /// Replies have no head (UNP): this is what it would say.
    pub(crate) headless: Option<Facts>,
    /// Replies have no body whatever their head says (HEAD).
    pub(crate) bodiless: bool,
    /// Any 2xx when empty.
    expect_status: Vec<u16>,
    check: BodyCheck,
    models: Models,
    /// Where the models of this kind begin.
    first_model: usize,
}

impl Judge {
    /// A judge of replies to the kind of that number, who shares the model bodies with those of
    /// the other threads.
    pub(crate) fn new(plan: &Plan, kind: usize, models: &Models) -> Self {
        let (method, check) = match plan.requests.get(kind) {
            Some(kind) => (&kind.method, kind.body_check(plan.body_check)),
            None => (&plan.method, plan.body_check.unwrap_or(BodyCheck::Exact)),
        };
        let headless = plan.unp_bytes.map(|bytes| Facts {
            status: 200,
            framing: Framing::Fixed(u64::from(bytes)),
            close: false,
        });
        let mut template = Template::default();
        if let Some(facts) = headless {
            // A head of no bytes is recognised in front of every reply.
            template.learn(&[], facts, None);
        }
        Self {
            template,
            headless,
            bodiless: method == "HEAD",
            expect_status: plan.expect_status.clone(),
            check,
            models: Arc::clone(models),
            first_model: kind * plan.expect_status.len().max(1),
        }
    }

    /// A judge for each kind of request.
    pub(crate) fn all(plan: &Plan, models: &Models) -> Vec<Self> {
        let kinds = plan.requests.len().max(1);
        (0..kinds)
            .map(|kind| Self::new(plan, kind, models))
            .collect()
    }

    /// A judge of framing only, to whom every status is right.
    pub(crate) fn of_framing() -> Self {
        Self {
            template: Template::default(),
            headless: None,
            bodiless: false,
            expect_status: (200..=599).collect(),
            check: BodyCheck::None,
            models: Arc::from([]),
            first_model: 0,
        }
    }

    /// Where the model of replies with that status is; or why the status is wrong.
    #[inline]
    fn expected(&self, status: u16) -> Result<usize, Class> {
        if self.expect_status.is_empty() {
            if (200..300).contains(&status) {
                return Ok(self.first_model);
            }
        } else if let Some(at) = self.expect_status.iter().position(|&s| s == status) {
            return Ok(self.first_model + at);
        }
        match status {
            503 => Err(Class::Shed),
            _ => Err(Class::Status),
        }
    }

    /// Judges a reply whose whole body lies in one slice.
    #[inline]
    pub(crate) fn whole(&self, status: u16, body: &[u8]) -> Option<Class> {
        if self.check == BodyCheck::Exact
            && let Ok(at) = self.expected(status)
            && let Some(model) = self.models[at].get()
            && body.len() <= BODY_BYTES_COMPARED_MAX
        {
            return (model.bytes != body).then_some(Class::WrongBody);
        }
        let mut comparison = Comparison::new(self, status);
        comparison.feed(self, body);
        comparison.finish(self)
    }
}

/// The comparison of one reply's body while it arrives.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// Where its model is, or what is wrong already.
    verdict: Result<usize, Class>,
    position: u64,
    /// The body itself, when there is no model yet.
    learned: Option<Vec<u8>>,
}

impl Comparison {
    /// Begins with the reply's status.
    pub(crate) fn new(judge: &Judge, status: u16) -> Self {
        let verdict = judge.expected(status);
        let learns = judge.check != BodyCheck::None
            && verdict.is_ok_and(|at| judge.models[at].get().is_none());
        Self {
            verdict,
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
        } else if judge.check == BodyCheck::Exact
            && let Ok(at) = self.verdict
            && let Some(model) = judge.models[at].get()
            && model
                .bytes
                .get(start..)
                .is_none_or(|rest| !rest.starts_with(kept))
            && !kept.is_empty()
        {
            self.verdict = Err(Class::WrongBody);
        }
    }

    /// The verdict on the whole reply; `None` when it is correct.
    pub(crate) fn finish(&mut self, judge: &Judge) -> Option<Class> {
        let at = match self.verdict {
            Err(class) => return Some(class),
            Ok(_) if judge.check == BodyCheck::None => return None,
            Ok(at) => at,
        };
        let learned = self.learned.take();
        let model = judge.models[at].get_or_init(|| Model {
            bytes: learned.clone().unwrap_or_default(),
            length: self.position,
        });
        // Two replies may have been learned at once; the second is then compared after all.
        let differs =
            judge.check == BodyCheck::Exact && learned.is_some_and(|bytes| bytes != model.bytes);
        (differs || model.length != self.position).then_some(Class::WrongBody)
    }
}
