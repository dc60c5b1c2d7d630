import { expect, test } from 'vitest'
import { timestampMs } from '../../../../base/units.ts'
import { StampClock } from '../../../../runtime/leader/stamp-clock.ts'
import { HandClock } from '../stub-ports.ts'

const HOUR = 3_600_000

/** A reign that began at the wall clock's time. */
function reign(): { clock: HandClock; stamps: StampClock; observe: (...offsets: number[]) => string } {
  const clock = new HandClock()
  const stamps = new StampClock(clock)
  stamps.reset(timestampMs(clock.wall))
  const observe = (...offsets: number[]): string =>
    stamps.observe(
      offsets.map((clockOffsetMs) => ({ clockOffsetMs, heardAt: clock.monotonic })),
      3
    )
  return { clock, stamps, observe }
}

test('a leader counts from the last stamp until a majority of the voters has agreed with its clock', () => {
  const { clock, stamps, observe } = reign()
  const begin = clock.wall
  clock.wall += 400
  clock.advance(10)
  expect(observe()).toBe('unknown')
  expect(stamps.now()).toBe(begin + 10)
  expect(observe(-400)).toBe('agrees')
  expect(stamps.now()).toBe(begin + 410)
})

test('a single voter agrees with itself', () => {
  const { clock, stamps } = reign()
  clock.wall += 300
  expect(stamps.observe([], 1)).toBe('agrees')
  expect(stamps.now()).toBe(clock.wall)
})

test.each([
  { offsets: [0, 0], verdict: 'agrees' },
  { offsets: [500, 500], verdict: 'agrees' },
  { offsets: [501, 501], verdict: 'off' },
  { offsets: [-501, -501], verdict: 'off' },
  { offsets: [HOUR, 0], verdict: 'agrees' },
  { offsets: [HOUR, HOUR], verdict: 'off' },
  { offsets: [HOUR], verdict: 'off' },
  { offsets: [], verdict: 'unknown' }
])('among three voters, offsets $offsets make $verdict', ({ offsets, verdict }) => {
  const { observe, stamps } = reign()
  expect(observe(...offsets)).toBe(verdict)
  expect(stamps.trusted).toBe(verdict === 'agrees')
})

test('a clock that is off is not followed: state time goes on by the monotonic clock', () => {
  const { clock, stamps, observe } = reign()
  observe(0, 0)
  const before = stamps.now()
  observe(-HOUR, -HOUR)
  clock.advance(250)
  expect(stamps.now()).toBe(before + 250)
})

test('a jump is noticed before anybody reports it, and old readings do not excuse it', () => {
  const { clock, stamps, observe } = reign()
  observe(0, 0)
  const before = stamps.now()
  const old = { clockOffsetMs: 0, heardAt: clock.monotonic }
  clock.advance(100)
  clock.wall += HOUR
  expect(stamps.now()).toBe(before + 100)
  clock.advance(10)
  expect(stamps.observe([old, old], 3)).toBe('unknown')
  expect(stamps.now()).toBe(before + 110)
  expect(observe(-HOUR, -HOUR)).toBe('off')
  clock.wall -= HOUR
  expect(stamps.now()).toBe(before + 110)
  expect(observe(0, 0)).toBe('agrees')
})

test('state time never goes back', () => {
  const { clock, stamps, observe } = reign()
  observe(0, 0)
  const before = stamps.now()
  clock.wall -= 400
  expect(stamps.now()).toBe(before)
  clock.advance(300)
  expect(stamps.now()).toBe(before)
  clock.advance(200)
  expect(stamps.now()).toBe(before + 100)
})
