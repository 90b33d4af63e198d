//! Pages of lists, the same for all features: how many items a page has, where it begins, and how
//! many rows are examined for it.
//!
//! Rights follow from the token, so the database does not know them: rows are read in the order of
//! the list, and those that the caller may not see are left out here. A cursor names the last row
//! that was examined: reading all pages lists each row once.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use utoipa::ToSchema;

use crate::{
    error::{Error, Result},
    id::Timestamp,
    payload::Payload,
};

/// The most items on a page.
const PAGE_MAX: usize = 100;
const PAGE_DEFAULT: usize = 50;
/// The most rows that are examined for one page, visible or not.
const EXAMINED_MAX: usize = 1000;
/// The most pages of one feature that are read at once: the other connections to the database are
/// left to editing.
const CONCURRENT_PAGES_MAX: usize = 2;
/// How long a request waits until fewer pages are being read.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The end of the year 9999, the latest time that the databases store.
pub const TIME_MAX: Timestamp = Timestamp(253_402_300_799_999);

/// Limits how many pages of a feature are read at once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PagePermits(Arc<Semaphore>);

/// The part of a list that is on one page: at most `limit` items, after the row that the cursor
/// `after` names.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
pub struct Window<C> {
    /// The most items on the page, 1 to 100; without a limit, 50.
    #[schema(required = false, minimum = 1, maximum = 100)]
    pub limit: usize,
    /// The `next_cursor` of the page before.
    #[schema(rename = "cursor", value_type = Option<String>)]
    pub after: Option<C>,
}

impl Default for PagePermits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(CONCURRENT_PAGES_MAX)))
    }
}

impl PagePermits {
    /// Waits at most 2 s until fewer than two pages are being read. The caller keeps the permit
    /// until its page is read.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where too many pages are still being read then.
    pub async fn acquire(&self) -> Result<SemaphorePermit<'_>> {
        let permit = timeout(PERMIT_TIMEOUT, self.0.acquire()).await;
        permit.ok().and_then(Result::ok).ok_or(Error::Overloaded)
    }
}

impl<C: Clone> Window<C> {
    /// Reads the fields `limit` (1 to 100; the default is 50) and `cursor`, which `parse` parses.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field that is not valid.
    pub fn read(payload: &Payload, parse: impl FnOnce(&str) -> Option<C>) -> Result<Self> {
        let (limit, cursor) = (payload.find_count("limit")?, payload.find_text("cursor")?);
        Self::parse(limit, cursor, parse)
    }

    /// As [`read`](Self::read), of fields that have been read.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(
        limit: Option<usize>,
        cursor: Option<&str>,
        parse: impl FnOnce(&str) -> Option<C>,
    ) -> Result<Self> {
        let limit = limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::Invalid {
                field: "limit",
                reason: "must be a number from 1 to 100",
            });
        }
        let after = cursor.map(|text| {
            parse(text).ok_or(Error::Invalid {
                field: "cursor",
                reason: "must be the next_cursor of a page of the same list",
            })
        });
        Ok(Self {
            limit,
            after: after.transpose()?,
        })
    }

    /// Fills the page: `read` returns the rows after a cursor in the order of the list, as many as
    /// asked for if there are so many; `select` makes an item of a row, or leaves it out. Returns
    /// the items and the cursor of the next page, if there is one; a page may have fewer items than
    /// its limit, or none, and a next one. Examines at most 1,000 rows.
    ///
    /// # Errors
    /// The error of `read`.
    pub async fn fill<R, T, F>(
        &self,
        read: impl Fn(Option<C>, i64) -> F,
        cursor: impl Fn(&R) -> C,
        select: impl Fn(R) -> Option<T>,
    ) -> Result<(Vec<T>, Option<C>)>
    where
        F: Future<Output = Result<Vec<R>>>,
    {
        let mut items = Vec::with_capacity(self.limit);
        let mut last = self.after.clone();
        let mut left = EXAMINED_MAX;
        // One row more than the page contains shows whether there is a next page. More rows are
        // read only where some of these are left out.
        let mut rows_max = self.limit + 1;
        while left > 0 {
            let rows = read(last.clone(), rows_max as i64).await?;
            let is_end = rows.len() < rows_max;
            left -= rows.len();
            rows_max = left;
            for row in rows {
                if items.len() == self.limit {
                    return Ok((items, last));
                }
                last = Some(cursor(&row));
                items.extend(select(row));
            }
            if is_end {
                return Ok((items, None));
            }
        }
        Ok((items, last))
    }
}

/// Parses a time in a cursor, in milliseconds since 1970; `None` where no database stores it.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let time = text.parse().ok()?;
    (0..=TIME_MAX.0).contains(&time).then_some(Timestamp(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages of a list of the numbers from 1 to `end`, of which the caller may see some.
    async fn pages(end: usize, limit: usize, visible: fn(usize) -> bool) -> Vec<Vec<usize>> {
        let mut window = Window { limit, after: None };
        let mut pages = Vec::new();
        loop {
            let (items, next) = window
                .fill(
                    async |after, rows_max| {
                        let first = after.unwrap_or(0) + 1;
                        Ok((first..=end).take(rows_max as usize).collect())
                    },
                    |row| *row,
                    |row| visible(row).then_some(row),
                )
                .await
                .expect("a page");
            pages.push(items);
            match next {
                Some(next) => window.after = Some(next),
                None => return pages,
            }
        }
    }

    #[tokio::test]
    async fn all_pages_list_each_visible_row_once_and_the_last_has_no_cursor() {
        assert_eq!(pages(0, 2, |_| true).await, [[0; 0]]);
        assert_eq!(pages(4, 2, |_| true).await, [[1, 2], [3, 4]]);
        assert_eq!(
            pages(5, 2, |_| true).await,
            [vec![1, 2], vec![3, 4], vec![5]]
        );
        let even = pages(9, 2, |row| row % 2 == 0).await;
        assert_eq!(even.concat(), [2, 4, 6, 8]);
        assert!(even.iter().all(|page| page.len() <= 2));
    }

    #[tokio::test]
    async fn a_page_examines_at_most_a_thousand_rows() {
        let pages = pages(2500, 50, |row| row == 2001).await;
        assert_eq!(pages, [vec![], vec![], vec![2001]]);
    }

    #[test]
    fn a_limit_is_1_to_100_and_a_cursor_is_one_of_the_list() {
        let window = |limit, cursor| {
            let window = Window::parse(limit, cursor, |text| text.parse::<usize>().ok());
            window.map_err(|error| error.field().unwrap_or_default())
        };
        let of = |limit, after| Ok(Window { limit, after });
        assert_eq!(window(None, None), of(50, None));
        assert_eq!(window(Some(1), Some("7")), of(1, Some(7)));
        assert_eq!(window(Some(100), None), of(100, None));
        assert_eq!(window(Some(0), None), Err("limit"));
        assert_eq!(window(Some(101), None), Err("limit"));
        assert_eq!(window(None, Some("seven")), Err("cursor"));
    }

    #[test]
    fn a_time_that_no_database_stores_is_none() {
        assert_eq!(
            parse_time("1700000000007"),
            Some(Timestamp(1_700_000_000_007))
        );
        for bad in ["", "seven", "-1", "9223372036854775807"] {
            assert_eq!(parse_time(bad), None, "{bad:?}");
        }
    }
}
