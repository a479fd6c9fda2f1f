//! An acceptor hands sockets to one reactor a CPU.
