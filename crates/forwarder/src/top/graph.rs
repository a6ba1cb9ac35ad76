//! A graph of one line of text.

const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last `width` values, newest at the right, the largest of them as a full block.
///
/// What is more than nothing shows.
pub(super) fn bars(values: &[u64], width: usize) -> String {
    let shown = &values[values.len().saturating_sub(width)..];
    let most = shown.iter().copied().max().unwrap_or(0);
    let bar = |value: &u64| match most {
        0 => BARS[0],
        most => {
            let eighths = (u128::from(*value) * 8).div_ceil(u128::from(most));
            BARS[usize::try_from(eighths).unwrap_or(8).min(8)]
        }
    };
    let blank = std::iter::repeat_n(BARS[0], width - shown.len());
    blank.chain(shown.iter().map(bar)).collect()
}

#[cfg(test)]
mod tests;
