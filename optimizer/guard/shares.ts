/** How the guard writes shares into its reasons. */
import type { Interval } from '../lab/statistics.ts'

/** `4.2 %`; `?` for what is not known. */
export function shareText(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : '?'
}

/** The same with the sign of what is more: `+4.2 %`. */
export function changeText(share: number): string {
  return share > 0 && share < Infinity ? `+${shareText(share)}` : shareText(share)
}

/** `[1.0 %, 4.2 %]`; `[?]` where nothing is known. */
export function intervalText({ low, high }: Interval, text = shareText): string {
  return Number.isFinite(low) || Number.isFinite(high) ? `[${text(low)}, ${text(high)}]` : '[?]'
}
