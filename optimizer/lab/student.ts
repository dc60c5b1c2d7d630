/**
 * Student's t distribution (Student, "The Probable Error of a Mean", Biometrika 1908), as intervals from few measurements need it: with
 * two of them 95 % lie within 12.7 standard errors, not within 1.96.
 */

/** Beyond this many degrees of freedom the quantile differs from the normal one by less than a thousandth. */
const MOST_DEGREES = 1000
/** Halvings of a bracket: more than a double tells apart. */
const HALVINGS = 80
const LARGEST = 1e6

/** The t within which a share of `confidence` in (0, 1) lies on both sides of 0, with `degrees` ≥ 1 degrees of freedom. */
export function studentQuantile(confidence: number, degrees: number): number {
  const whole = Math.max(1, Math.min(MOST_DEGREES, Math.floor(degrees)))
  let low = 0
  let high = LARGEST
  for (let halving = 0; halving < HALVINGS; halving++) {
    const middle = (low + high) / 2
    if (shareWithin(middle, whole) < confidence) low = middle
    else high = middle
  }
  return high
}

/** P(|T| ≤ t) for whole degrees of freedom: Abramowitz & Stegun, 26.7.3 (odd) and 26.7.4 (even). */
function shareWithin(t: number, degrees: number): number {
  const angle = Math.atan(t / Math.sqrt(degrees))
  const cosine = Math.cos(angle)
  const isOdd = degrees % 2 === 1
  let term = isOdd ? cosine : 1
  let sum = degrees === 1 ? 0 : term
  for (let power = isOdd ? 3 : 2; power <= degrees - 2; power += 2) {
    term *= ((power - 1) / power) * cosine * cosine
    sum += term
  }
  const series = Math.sin(angle) * sum
  return isOdd ? (2 / Math.PI) * (angle + series) : series
}
