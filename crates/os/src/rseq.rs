//! Restartable sequences, and how to do without them.
//!
//! The C library registers every thread for them (`rseq(2)`, glibc 2.35), though hardly anyone uses
//! them: the kernel then writes the number of the CPU into the thread's memory each time that the
//! thread has been switched to, and looks whether a sequence was interrupted. For a blocking model
//! that is once a request, and about a twentieth of it.

/// Takes the calling thread's registration back. Threads that it starts, and processes that it
/// forks, have none either.
///
/// Where there is none to take back (another C library, an older glibc, a filter that forbids the
/// call), or it is kept another way than is known here, nothing happens.
pub fn decline() {
    #[cfg(target_env = "gnu")]
    if let Some((area, sizes)) = registration() {
        for size in sizes {
            // SAFETY: of an address, a size and a signature that are not those of a registration the
            // kernel refuses; of one that is, it forgets the address. The C library finds a negative
            // number of the CPU there from then on, and asks the kernel where it wants to know.
            let done = unsafe {
                libc::syscall(libc::SYS_rseq, area, size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG)
            };
            if done == 0 {
                return;
            }
        }
    }
}

#[cfg(target_env = "gnu")]
const RSEQ_FLAG_UNREGISTER: libc::c_int = 1;

/// What stands before every abort handler (`sys/rseq.h`).
#[cfg(all(target_env = "gnu", target_arch = "x86_64"))]
const RSEQ_SIG: u32 = 0x5305_3053;
#[cfg(all(target_env = "gnu", target_arch = "aarch64"))]
const RSEQ_SIG: u32 = 0xd428_bc00;
#[cfg(all(
    target_env = "gnu",
    not(any(target_arch = "x86_64", target_arch = "aarch64"))
))]
const RSEQ_SIG: u32 = 0;

/// Where the C library has registered this thread, and with which size it may have been: the
/// structure's first (all of them before glibc 2.40), or what the kernel asked for.
#[cfg(target_env = "gnu")]
fn registration() -> Option<(usize, [usize; 2])> {
    const FIRST: usize = 32;
    // SAFETY: dlsym takes a name that ends with a zero byte; what is found under this one is a
    // `ptrdiff_t` that never changes (`rseq(7)` of glibc's manual), else null.
    let offset = unsafe {
        let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr());
        symbol.cast::<isize>().as_ref()
    };
    // SAFETY: getauxval takes any number, and answers 0 where the kernel has said nothing.
    let asked = unsafe { libc::getauxval(AT_RSEQ_FEATURE_SIZE) } as usize;
    let asked = asked.next_multiple_of(FIRST).max(FIRST);
    Some((
        thread_pointer()?.wrapping_add_signed(*offset?),
        [FIRST, asked],
    ))
}

/// `linux/auxvec.h`.
#[cfg(target_env = "gnu")]
const AT_RSEQ_FEATURE_SIZE: libc::c_ulong = 27;

/// What the C library's thread-local storage is addressed from.
#[cfg(target_env = "gnu")]
fn thread_pointer() -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    {
        let pointer: usize;
        // SAFETY: the first word of the thread control block is its own address (the ABI's TLS
        // variant II).
        unsafe {
            std::arch::asm!("mov {}, fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags));
        }
        Some(pointer)
    }
    #[cfg(target_arch = "aarch64")]
    {
        let pointer: usize;
        // SAFETY: reading the register has no effect.
        unsafe {
            std::arch::asm!("mrs {}, tpidr_el0", out(reg) pointer, options(nostack, nomem, preserves_flags));
        }
        Some(pointer)
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    None
}

#[cfg(all(test, target_env = "gnu", target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// `cpu_id` of `struct rseq`, the second word: negative where the kernel does not keep it.
    fn cpu() -> Option<i32> {
        let (area, _) = registration()?;
        // SAFETY: the area is this thread's own, and lives as long as it.
        Some(unsafe { std::ptr::with_exposed_provenance::<i32>(area + 4).read_volatile() })
    }

    #[test]
    fn declined_once_it_is_declined_for_those_that_follow() {
        let Some(registered) = cpu() else {
            return; // This C library knows nothing of it.
        };
        if registered < 0 {
            return; // Nobody has registered: forbidden, or turned off by a tunable.
        }
        // A thread of the harness's own: the others keep theirs.
        std::thread::spawn(|| {
            decline();
            assert!(cpu() < Some(0));
            let heir = std::thread::spawn(cpu).join();
            assert!(heir.unwrap() < Some(0), "a thread has registered anew");
            decline(); // Nothing happens.
            // SAFETY: it takes nothing.
            assert!(unsafe { libc::sched_getcpu() } >= 0);
        })
        .join()
        .unwrap();
        assert!(cpu() >= Some(0), "another thread's is gone");
    }
}
