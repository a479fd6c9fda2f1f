//! Restartable sequences (`rseq(2)`), turned off.
//!
//! glibc (since 2.35) registers every thread for them, although few programs use them. For a registered
//! thread, the kernel writes the number of the CPU to memory and checks for an interrupted sequence
//! each time the thread is scheduled. In a blocking model that is once per request, and takes about a
//! twentieth of its time.

/// Removes the registration of the calling thread. Threads that it starts later and processes that it
/// forks later have none either.
///
/// Nothing happens if there is no registration (another C library, an older glibc, a seccomp filter
/// that forbids the call), or if glibc keeps it in a way that is not known here.
pub fn unregister() {
    #[cfg(target_env = "gnu")]
    if let Some((area, sizes)) = registration() {
        for size in sizes {
            // SAFETY: the kernel refuses an address, a size and a signature that are not those of a
            // registration, and otherwise stops writing to the address. glibc finds a negative CPU
            // number there from then on, and makes a system call where it needs the number.
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

/// The signature before every abort handler (`sys/rseq.h`).
#[cfg(all(target_env = "gnu", target_arch = "x86_64"))]
const RSEQ_SIG: u32 = 0x5305_3053;
#[cfg(all(target_env = "gnu", target_arch = "aarch64"))]
const RSEQ_SIG: u32 = 0xd428_bc00;
#[cfg(all(
    target_env = "gnu",
    not(any(target_arch = "x86_64", target_arch = "aarch64"))
))]
const RSEQ_SIG: u32 = 0;

/// The address with which glibc has registered this thread, and two possible sizes: the original size
/// of the structure (always, before glibc 2.40), or the size that the kernel asks for.
#[cfg(target_env = "gnu")]
fn registration() -> Option<(usize, [usize; 2])> {
    const ORIGINAL: usize = 32;
    // SAFETY: dlsym takes a name that ends with a zero byte. It returns null, or the address of a
    // `ptrdiff_t` that never changes (glibc manual, "Restartable Sequences").
    let offset = unsafe {
        let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr());
        symbol.cast::<isize>().as_ref()
    };
    // SAFETY: getauxval takes any number, and returns 0 for one that the kernel has not set.
    let asked = unsafe { libc::getauxval(AT_RSEQ_FEATURE_SIZE) } as usize;
    let asked = asked.next_multiple_of(ORIGINAL).max(ORIGINAL);
    Some((
        thread_pointer()?.wrapping_add_signed(*offset?),
        [ORIGINAL, asked],
    ))
}

/// `linux/auxvec.h`.
#[cfg(target_env = "gnu")]
const AT_RSEQ_FEATURE_SIZE: libc::c_ulong = 27;

/// The thread pointer, relative to which thread-local variables are addressed.
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

    /// `cpu_id` of `struct rseq`, the second word: negative if the kernel does not write it.
    fn cpu() -> Option<i32> {
        let (area, _) = registration()?;
        // SAFETY: the area belongs to this thread, and exists as long as the thread.
        Some(unsafe { std::ptr::with_exposed_provenance::<i32>(area + 4).read_volatile() })
    }

    #[test]
    fn an_unregistered_thread_starts_unregistered_threads() {
        let Some(registered) = cpu() else {
            return; // This C library does not register threads.
        };
        if registered < 0 {
            return; // Registration is forbidden, or turned off by a tunable.
        }
        // In a thread of its own, since other tests may run in parallel.
        std::thread::spawn(|| {
            unregister();
            assert!(cpu() < Some(0));
            let child = std::thread::spawn(cpu).join();
            assert!(child.unwrap() < Some(0), "a new thread is registered");
            unregister(); // Nothing happens.
            // SAFETY: the call has no arguments.
            assert!(unsafe { libc::sched_getcpu() } >= 0);
        })
        .join()
        .unwrap();
        assert!(
            cpu() >= Some(0),
            "the registration of another thread is gone"
        );
    }
}
