//! EXIF orientation, applied once at input: the result has none.

use super::Cover;

/// Turns the image as orientation 1 to 8 says; whether anything moved.
pub(super) fn apply(cover: &mut Cover, orientation: u8) -> bool {
    if !(2..=8).contains(&orientation) {
        return false;
    }
    let (width, height, size) = (cover.width as usize, cover.height as usize, cover.layout.pixel_bytes());
    let swapped = orientation >= 5;
    let (new_width, new_height) = if swapped { (height, width) } else { (width, height) };
    let mut turned = Vec::with_capacity(cover.pixels.len());
    for y in 0..new_height {
        for x in 0..new_width {
            let (from_x, from_y) = match orientation {
                2 => (width - 1 - x, y),
                3 => (width - 1 - x, height - 1 - y),
                4 => (x, height - 1 - y),
                5 => (y, x),
                6 => (y, height - 1 - x),
                7 => (width - 1 - y, height - 1 - x),
                _ => (width - 1 - y, x),
            };
            let at = (from_y * width + from_x) * size;
            turned.extend_from_slice(&cover.pixels[at..at + size]);
        }
    }
    cover.pixels = turned;
    if swapped {
        std::mem::swap(&mut cover.width, &mut cover.height);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eight orientations of a 2 x 3 image, as the EXIF standard (4.6.4, tag 274) shows them.
    #[test]
    fn every_orientation_puts_the_first_row_and_column_where_they_belong() {
        let shown = ["abcdef", "badcfe", "fedcba", "efcdab", "acebdf", "ecafdb", "fdbeca", "bdface"];
        for (orientation, expected) in (1..).zip(shown) {
            let pixels = b"abcdef".iter().flat_map(|letter| [*letter; 3]).collect();
            let mut cover = Cover::rgb8(2, 3, pixels);
            assert_eq!(apply(&mut cover, orientation), orientation != 1);
            let letters: Vec<u8> = cover.pixels.iter().step_by(3).copied().collect();
            assert_eq!(String::from_utf8_lossy(&letters), expected, "orientation {orientation}");
            assert_eq!((cover.width, cover.height), if orientation >= 5 { (3, 2) } else { (2, 3) });
        }
    }
}
