//! Whether a reply is the right one: status, length, body.

use std::sync::{Arc, OnceLock};

use schema::load::BodyCheck;

use crate::error_class::ErrorClass;
use crate::head::{Facts, Framing, Template};
use crate::plan::Plan;

/// Most bytes of a body that are kept and compared; beyond them only the length counts.
const BODY_BYTES_COMPARED_MAX: usize = 64 << 20;

/// The first correct body of the run; every later one must equal it.
#[derive(Debug)]
pub(crate) struct ReferenceBody {
    bytes: Vec<u8>,
    length: u64,
}

/// The first correct bodies of a run, shared by its threads.
pub(crate) type ReferenceBodies = Arc<[OnceLock<ReferenceBody>]>;

/// A place for the first correct body of every kind of request and every expected status: a reply
/// is compared with one of the same kind and status.
pub(crate) fn reference_bodies(plan: &Plan) -> ReferenceBodies {
    let kinds = plan.requests.len().max(1);
    let statuses = plan.expect_status.len().max(1);
    (0..kinds * statuses).map(|_| OnceLock::new()).collect()
}

/// Checks the replies to one kind of request, for all connections of a thread.
#[derive(Debug)]
pub(crate) struct Checker {
    /// The head that replies are expected to begin with.
    pub(crate) template: Template,
    /// Replies have no head (UNP); this is what a head would say.
    pub(crate) headless: Option<Facts>,
    /// Replies have no body whatever their head says (HEAD).
    pub(crate) bodiless: bool,
    /// Any 2xx when empty.
    expect_status: Vec<u16>,
    check: BodyCheck,
    references: ReferenceBodies,
    /// The index of the first reference of this kind.
    first_reference: usize,
}

impl Checker {
    /// A checker of the replies to kind number `kind`. The reference bodies are shared with the
    /// checkers of the other threads.
    pub(crate) fn new(plan: &Plan, kind: usize, references: &ReferenceBodies) -> Self {
        let (method, check) = match plan.requests.get(kind) {
            Some(kind) if plan.script.is_some() => (&kind.method, BodyCheck::None),
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
            expect_status: match &plan.script {
                // What the server of the file answered is right, unless the plan says otherwise.
                Some(script) if plan.expect_status.is_empty() => {
                    script.statuses[kind].into_iter().collect()
                }
                _ => plan.expect_status.clone(),
            },
            check,
            references: Arc::clone(references),
            first_reference: kind * plan.expect_status.len().max(1),
        }
    }

    /// A checker for each kind of request.
    pub(crate) fn all(plan: &Plan, references: &ReferenceBodies) -> Vec<Self> {
        let kinds = plan.requests.len().max(1);
        (0..kinds)
            .map(|kind| Self::new(plan, kind, references))
            .collect()
    }

    /// A checker of framing only, for which every status is right.
    pub(crate) fn framing_only() -> Self {
        Self {
            template: Template::default(),
            headless: None,
            bodiless: false,
            expect_status: (200..=599).collect(),
            check: BodyCheck::None,
            references: Arc::from([]),
            first_reference: 0,
        }
    }

    /// The index of the reference for replies with that status; or why the status is wrong.
    #[inline]
    fn expected(&self, status: u16) -> Result<usize, ErrorClass> {
        if self.expect_status.is_empty() {
            if (200..300).contains(&status) {
                return Ok(self.first_reference);
            }
        } else if let Some(at) = self.expect_status.iter().position(|&s| s == status) {
            return Ok(self.first_reference + at);
        }
        match status {
            503 => Err(ErrorClass::Shed),
            _ => Err(ErrorClass::Status),
        }
    }

    /// Checks a reply whose whole body is in one slice.
    #[inline]
    pub(crate) fn check_whole(&self, status: u16, body: &[u8]) -> Option<ErrorClass> {
        if self.check == BodyCheck::Exact
            && let Ok(at) = self.expected(status)
            && let Some(reference) = self.references[at].get()
            && body.len() <= BODY_BYTES_COMPARED_MAX
        {
            return (reference.bytes != body).then_some(ErrorClass::WrongBody);
        }
        let mut comparison = Comparison::new(self, status);
        comparison.feed(self, body);
        comparison.finish(self)
    }
}

/// The comparison of one reply's body while it arrives.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The index of its reference, or what is wrong already.
    verdict: Result<usize, ErrorClass>,
    position: u64,
    /// The body itself, when there is no reference yet.
    learned: Option<Vec<u8>>,
}

impl Comparison {
    /// Starts with the reply's status.
    pub(crate) fn new(checker: &Checker, status: u16) -> Self {
        let verdict = checker.expected(status);
        let learns = checker.check != BodyCheck::None
            && verdict.is_ok_and(|at| checker.references[at].get().is_none());
        Self {
            verdict,
            position: 0,
            learned: learns.then(Vec::new),
        }
    }

    /// Takes the next bytes of the body.
    pub(crate) fn feed(&mut self, checker: &Checker, bytes: &[u8]) {
        let start = usize::try_from(self.position).unwrap_or(usize::MAX);
        self.position += bytes.len() as u64;
        let kept = &bytes[..bytes
            .len()
            .min(BODY_BYTES_COMPARED_MAX.saturating_sub(start))];
        if let Some(learned) = &mut self.learned {
            learned.extend_from_slice(kept);
        } else if checker.check == BodyCheck::Exact
            && let Ok(at) = self.verdict
            && let Some(reference) = checker.references[at].get()
            && reference
                .bytes
                .get(start..)
                .is_none_or(|rest| !rest.starts_with(kept))
            && !kept.is_empty()
        {
            self.verdict = Err(ErrorClass::WrongBody);
        }
    }

    /// What is wrong with the whole reply; `None` when it is correct.
    pub(crate) fn finish(&mut self, checker: &Checker) -> Option<ErrorClass> {
        let at = match self.verdict {
            Err(class) => return Some(class),
            Ok(_) if checker.check == BodyCheck::None => return None,
            Ok(at) => at,
        };
        let learned = self.learned.take();
        let reference = checker.references[at].get_or_init(|| ReferenceBody {
            bytes: learned.clone().unwrap_or_default(),
            length: self.position,
        });
        // Two replies may have been learned at once; the second is then compared after all.
        let differs = checker.check == BodyCheck::Exact
            && learned.is_some_and(|bytes| bytes != reference.bytes);
        (differs || reference.length != self.position).then_some(ErrorClass::WrongBody)
    }
}
