//! What only the C library offers: the one module that may hold `unsafe`.
