//! Rules bind at once: the next request of every session is decided by the rules in force.
