//! What is remembered of strangers, by IP address, in a table whose size never changes.

use std::net::IpAddr;

use crate::hash::KeyedHash;
use crate::moment::Moment;
use crate::rate::Bucket;

/// A stranger's IP address. All of an IPv6 /64 network counts as one: whoever has one address of it has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SourceKey(u64);

impl SourceKey {
    /// No address has this key: `::/64` holds `::1`, which is given that of its neighbour, where nobody lives.
    const NOBODY: SourceKey = SourceKey(0);

    fn of(ip: IpAddr) -> SourceKey {
        match ip.to_canonical() {
            // ffff::/16 is multicast and never a source, so its space is free for IPv4.
            IpAddr::V4(ip) => SourceKey(0xffff << 48 | u64::from(u32::from(ip))),
            IpAddr::V6(ip) => SourceKey(((u128::from(ip) >> 64) as u64).max(1)),
        }
    }
}

/// One stranger's record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    key: SourceKey,
    seen: Moment,
    pub(crate) packets: Bucket,
    pub(crate) failures: Bucket,
    pub(crate) muted_until: Moment,
    pub(crate) next_answer: Moment,
}

impl Source {
    fn new(key: SourceKey, seen: Moment) -> Source {
        Source {
            key,
            seen,
            packets: Bucket::default(),
            failures: Bucket::default(),
            muted_until: Moment::ORIGIN,
            next_answer: Moment::ORIGIN,
        }
    }
}

/// How many records may share a hash. A flood must hit one group this often to make the relay forget somebody in it.
const GROUP: usize = 8;

pub(crate) struct SourceTable {
    records: Vec<Source>,
    groups: u64,
    hash: KeyedHash,
}

impl SourceTable {
    pub(crate) fn new(capacity: usize, hash: KeyedHash) -> SourceTable {
        let groups = capacity.div_ceil(GROUP).max(1);
        SourceTable {
            records: vec![Source::new(SourceKey::NOBODY, Moment::ORIGIN); groups * GROUP],
            groups: groups as u64,
            hash,
        }
    }

    /// The record of this address, a fresh one if there was none; the longest unseen of the group makes room for it.
    pub(crate) fn meet(&mut self, ip: IpAddr, now: Moment) -> &mut Source {
        let key = SourceKey::of(ip);
        let first = (self.hash.of(key.0) % self.groups) as usize * GROUP;
        let group = &mut self.records[first..first + GROUP];
        let mut chosen = 0;
        for place in 0..GROUP {
            if group[place].key == key {
                chosen = place;
                break;
            }
            if group[place].seen < group[chosen].seen {
                chosen = place;
            }
        }
        let record = &mut group[chosen];
        if record.key != key {
            *record = Source::new(key, now);
        }
        record.seen = now;
        record
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.records.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rate;

    fn table() -> SourceTable {
        SourceTable::new(64, KeyedHash::new(7))
    }

    #[test]
    fn remembers_an_address_in_every_spelling() {
        let mut table = table();
        let now = Moment::from_nanos(5);
        table.meet("192.0.2.1".parse().unwrap(), now).muted_until = now;
        assert_eq!(table.meet("::ffff:192.0.2.1".parse().unwrap(), now).muted_until, now);
        assert_eq!(
            table.meet("192.0.2.2".parse().unwrap(), now).muted_until,
            Moment::ORIGIN
        );
    }

    #[test]
    fn takes_a_network_of_ipv6_for_one() {
        let mut table = table();
        let now = Moment::from_nanos(5);
        table.meet("2001:db8:0:1::1".parse().unwrap(), now).muted_until = now;
        assert_eq!(
            table.meet("2001:db8:0:1:ffff::9".parse().unwrap(), now).muted_until,
            now
        );
        assert_eq!(
            table.meet("2001:db8:0:2::1".parse().unwrap(), now).muted_until,
            Moment::ORIGIN
        );
    }

    #[test]
    fn knows_the_loopback_address() {
        let mut table = table();
        let now = Moment::from_nanos(5);
        assert!(table
            .meet("::1".parse().unwrap(), now)
            .packets
            .take(Rate::new(1, 1), 1, now));
        assert!(!table
            .meet("::1".parse().unwrap(), now)
            .packets
            .take(Rate::new(1, 1), 1, now));
    }

    #[test]
    fn forgets_the_longest_unseen_and_never_grows() {
        let mut table = SourceTable::new(GROUP, KeyedHash::new(7));
        let ip = |number: u32| IpAddr::V4(number.into());
        for number in 1..=8 {
            table.meet(ip(number), Moment::from_nanos(number.into())).muted_until = Moment::from_nanos(99);
        }
        table.meet(ip(1), Moment::from_nanos(9));
        table.meet(ip(100), Moment::from_nanos(10));
        assert_eq!(
            table.meet(ip(1), Moment::from_nanos(11)).muted_until,
            Moment::from_nanos(99)
        );
        assert_eq!(table.meet(ip(2), Moment::from_nanos(12)).muted_until, Moment::ORIGIN);
        for number in 0..10_000 {
            table.meet(ip(number), Moment::from_nanos(13));
        }
        assert_eq!(table.len(), GROUP);
    }
}
