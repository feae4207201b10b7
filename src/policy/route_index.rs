//! Finds the routes of a host and path. The number of steps depends on the number of path
//! segments and not on the number of routes.

use std::collections::HashMap;

use crate::client::name_and_port;

/// Route indices by host and path.
#[derive(Debug, Default)]
pub(crate) struct RouteIndex {
    any_host: HostRoutes,
    hosts: HashMap<String, HostRoutes>,
    /// The hosts of each name, with any port.
    names: HashMap<String, Vec<String>>,
    /// The length of the longest pattern in bytes.
    longest: usize,
}

/// The routes of one host, or those without a host.
#[derive(Debug, Default)]
struct HostRoutes {
    exact: HashMap<Box<[u8]>, Vec<usize>>,
    folders: HashMap<Box<[u8]>, Vec<usize>>,
    /// The length of the longest key of each map in bytes.
    longest_exact: usize,
    longest_folder: usize,
    /// Routes without a path.
    anywhere: Vec<usize>,
}

/// The paths that a route matches.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PathSet<'a> {
    All,
    Exact(&'a [u8]),
    /// A folder, without its final slash, and everything below it.
    Folder(&'a [u8]),
}

impl RouteIndex {
    /// Adds a route, which ranks after all routes added before.
    pub(crate) fn add(&mut self, route: usize, host: Option<&str>, paths: PathSet<'_>) {
        if let PathSet::Exact(path) | PathSet::Folder(path) = paths {
            self.longest = self.longest.max(path.len());
        }
        let Some(host) = host else { return self.any_host.add(route, paths) };
        if !self.hosts.contains_key(host) {
            let name = name_and_port(host).0.to_owned();
            self.names.entry(name).or_default().push(host.to_owned());
        }
        self.hosts.entry(host.to_owned()).or_default().add(route, paths);
    }

    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    pub(crate) fn has_hosts(&self) -> bool {
        !self.hosts.is_empty()
    }

    pub(crate) fn has_host(&self, host: &str) -> bool {
        self.hosts.contains_key(host)
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The first route for `host` and `path` that `matches`. With `by_name`, ports are
    /// ignored.
    pub(crate) fn first(
        &self,
        host: &str,
        by_name: bool,
        path: &[u8],
        matches: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let first = self.any_host.first(path, &matches, None);
        if self.hosts.is_empty() {
            return first;
        }
        if !by_name {
            return self.hosts.get(host).map_or(first, |paths| paths.first(path, &matches, first));
        }
        let hosts = self.names.get(name_and_port(host).0).into_iter().flatten();
        let paths = hosts.filter_map(|host| self.hosts.get(host));
        paths.fold(first, |first, paths| paths.first(path, &matches, first))
    }
}

impl HostRoutes {
    fn add(&mut self, route: usize, paths: PathSet<'_>) {
        match paths {
            PathSet::All => self.anywhere.push(route),
            PathSet::Exact(path) => {
                self.longest_exact = self.longest_exact.max(path.len());
                self.exact.entry(path.into()).or_default().push(route);
            }
            PathSet::Folder(path) => {
                self.longest_folder = self.longest_folder.max(path.len());
                self.folders.entry(path.into()).or_default().push(route);
            }
        }
    }

    /// The lowest of `before` and the matching routes for `path`.
    fn first(&self, path: &[u8], matches: &impl Fn(usize) -> bool, before: Option<usize>) -> Option<usize> {
        let least = |routes: &[usize], before: Option<usize>| {
            let limit = before.unwrap_or(usize::MAX);
            let mut earlier = routes.iter().copied().take_while(|route| *route < limit);
            earlier.find(|route| matches(*route)).or(before)
        };
        let mut first = least(&self.anywhere, before);
        // Each lookup hashes the whole path. Paths longer than the longest key are
        // therefore skipped, and the search starts at the deepest possible folder: a path
        // of 30,000 segments takes no longer than one of a few.
        if path.len() <= self.longest_exact
            && let Some(routes) = self.exact.get(path)
        {
            first = least(routes, first);
        }
        if self.folders.is_empty() {
            return first;
        }
        let mut folder = Some(path);
        if let Some(start) = path.get(..=self.longest_folder) {
            folder = parent(start);
        }
        while let Some(name) = folder {
            if let Some(routes) = self.folders.get(name) {
                first = least(routes, first);
            }
            folder = parent(name);
        }
        first
    }
}

/// The parent folder, without its final slash.
fn parent(path: &[u8]) -> Option<&[u8]> {
    path.get(..memchr::memrchr(b'/', path)?)
}
