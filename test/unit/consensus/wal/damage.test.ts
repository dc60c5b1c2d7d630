import { expect, test } from 'vitest'
import { AppError } from '../../../../base/errors.ts'
import { BLOCK_BYTES, SECTOR_BYTES, sealBlock, viewOf } from '../../../../consensus/wal/format.ts'
import { segmentName } from '../../../../consensus/wal/segment-header.ts'
import { LogImage, entriesOf, recover } from './image.ts'

const HARD_STATE = { term: 2, vote: 1, commit: 1 }

/** Two segments: batches of one, two and three blocks, the last segment used up to a third. */
function sampleLog(hardState = HARD_STATE): LogImage {
  const log = new LogImage()
  let index = 1
  for (const sizes of [
    [20],
    [700, 700, 4000],
    [8000],
    [3900],
    [11000],
    [10, 10],
    [9000, 9000],
    [3000],
    [500, 6000]
  ]) {
    const entries = sizes.flatMap((size, i) => entriesOf(index + i, index + i, 2, size))
    index += sizes.length
    log.write(entries, hardState)
  }
  expect(log.segments.length).toBe(2)
  return log
}

/** The indexes that a log holds after its first `batches` batches. */
function lastIndexAfter(log: LogImage, batches: number): number {
  return log.written[batches - 1]?.tail.lastIndex ?? 0
}

function refusalOf(run: () => unknown): AppError {
  try {
    run()
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('expected a refusal, but the log was accepted')
}

test('a flipped bit anywhere in the files of the log is refused with the file and the place', () => {
  const log = sampleLog()
  const file = log.hardStateFile(9, HARD_STATE)
  log.segments.forEach((segment, s) => {
    for (let at = 0; at < segment.length; at += 64) {
      const flipped = at + ((at / 64) % 64)
      const bit = 1 << ((at / 64) % 8)
      segment[flipped]! ^= bit
      const error = refusalOf(() => recover(log.segments, file))
      segment[flipped]! ^= bit
      expect(error.code).toBe('WAL_CORRUPT')
      expect(error.details['file']).toBe(segmentName(s + 1))
      const unit = flipped < BLOCK_BYTES ? BLOCK_BYTES : SECTOR_BYTES
      expect(error.details['offset']).toBe(Math.floor(flipped / unit) * unit)
      expect(error.details['hardState']).toEqual(HARD_STATE)
      expect(error.message).toContain('expected')
    }
  })
  expect(recover(log.segments, file).log.entries.length).toBe(lastIndexAfter(log, 9))
})

test('a flipped bit anywhere in the hard-state file leaves an intact log readable, and is told', () => {
  const log = sampleLog()
  const file = log.hardStateFile(9, HARD_STATE)
  for (let at = 0; at < file.length; at += 64) {
    const flipped = at + ((at / 64) % 64)
    file[flipped]! ^= 1
    const { log: recovered, intactSlots } = recover(log.segments, file)
    file[flipped]! ^= 1
    expect(intactSlots).toBe(1)
    expect(recovered.hardState).toEqual(HARD_STATE)
    expect(recovered.repairs.join()).toContain('1 of 2 slots intact')
  }
})

/** One small segment, so that thousands of cuts are quick; its last two batches have one block and two. */
function smallLog(): LogImage {
  const log = new LogImage(6 * BLOCK_BYTES)
  log.write(entriesOf(1, 2, 2, 50), HARD_STATE)
  log.write(entriesOf(3, 5, 2, 900), HARD_STATE)
  log.write(entriesOf(6, 7, 2, 2500), HARD_STATE)
  return log
}

/** The log with everything from `at` on in its last segment zeroed, or cut off. */
function cut(log: LogImage, at: number, how: 'zeroed' | 'shortened'): Uint8Array[] {
  const last = log.segments.at(-1)!
  const kept = how === 'zeroed' ? last.slice().fill(0, at) : last.slice(0, at)
  return [...log.segments.slice(0, -1), kept]
}

/** What recovery makes of a log: the index of its last entry, where it was cut, or the code of the refusal. */
function verdict(segments: readonly Uint8Array[], file: Uint8Array): string {
  try {
    const { tail, tear } = recover(segments, file)
    return `last ${tail.lastIndex}${tear === undefined ? '' : `, cut at ${tear.from}`}`
  } catch (error) {
    if (error instanceof AppError) return `${error.code} ${String(error.details['file'])}`
    throw error
  }
}

test('zeros from any byte of the last two batches on: at a sector they mean torn, else damage', () => {
  const log = smallLog()
  const [before, last] = [log.written.at(-2)!, log.written.at(-1)!]
  const intact = log.segments[0]!
  // The hard-state file was written before those two batches and says nothing of them.
  const file = log.hardStateFile(1, HARD_STATE)
  const seen = new Set<string>()
  for (let at = before.offset; at <= last.end; at++) {
    const [segment] = cut(log, at, 'zeroed')
    const batch = at >= last.offset ? last : before
    const whole = Buffer.compare(segment!, intact) === 0
    const nothingLeft = isZeroFrom(segment!, batch.offset)
    const left = batch === last ? 5 : 2
    let expected = `last ${left}, cut at ${batch.offset}`
    if (whole) expected = 'last 7'
    else if (nothingLeft) expected = `last ${left}`
    // A sector that only lost zeros is whole, and one that only kept zeros is missing.
    else if (!sectorIsWhole(segment!, intact, at) && !isZeroFrom(segment!, sectorOf(at))) {
      expected = `WAL_CORRUPT ${segmentName(1)}`
    }
    const got = verdict([segment!], file)
    if (got !== expected) expect(`${at}: ${got}`).toBe(`${at}: ${expected}`)
    seen.add(got)
  }
  expect([...seen].sort()).toEqual([
    `WAL_CORRUPT ${segmentName(1)}`,
    'last 2',
    `last 2, cut at ${before.offset}`,
    'last 5',
    `last 5, cut at ${last.offset}`,
    'last 7'
  ])
})

test('zeros over anything that the hard-state file names as durable are damage', () => {
  const log = smallLog()
  const [before, last] = [log.written.at(-2)!, log.written.at(-1)!]
  const intact = log.segments[0]!
  const marks = [
    { file: log.hardStateFile(3, HARD_STATE), end: last.end },
    { file: log.hardStateFile(2, HARD_STATE), end: before.end }
  ]
  for (const { file, end } of marks) {
    for (let at = before.offset; at < end; at++) {
      const [segment] = cut(log, at, 'zeroed')
      if (Buffer.compare(segment!.subarray(0, end), intact.subarray(0, end)) === 0) continue
      const got = verdict([segment!], file)
      if (got !== `WAL_CORRUPT ${segmentName(1)}`) expect(`${at}: ${got}`).toBe('refused')
    }
  }
})

test('a file that is shorter than it was made is damage, wherever it ends', () => {
  const log = smallLog()
  const file = log.hardStateFile(1, HARD_STATE)
  for (let at = 0; at < log.segments[0]!.length; at++) {
    const got = verdict(cut(log, at, 'shortened'), file)
    if (got !== `WAL_CORRUPT ${segmentName(1)}`) expect(`${at}: ${got}`).toBe('refused')
  }
  const error = refusalOf(() => recover(cut(log, 20_000, 'shortened'), file))
  expect(error.message).toContain('expected 24576 bytes, got 20000 bytes')
})

test('any set of missing sectors of the last write is torn', () => {
  const log = sampleLog()
  const file = log.hardStateFile(8, HARD_STATE)
  const { offset, end } = log.written.at(-1)!
  const count = (end - offset) / SECTOR_BYTES
  for (let missing = 1; missing < 2 ** Math.min(count, 12); missing += 7) {
    const last = log.segments.at(-1)!.slice()
    for (let place = 0; place < count; place++) {
      if (missing & (1 << (place % 12)))
        last.fill(0, offset + place * SECTOR_BYTES, offset + (place + 1) * SECTOR_BYTES)
    }
    const { log: recovered, tear, tail } = recover([log.segments[0]!, last], file)
    expect(tail.batchSequence).toBe(8)
    expect(recovered.entries.length).toBe(lastIndexAfter(log, 8))
    if (!isZeroFrom(last, offset)) expect(tear).toEqual({ name: segmentName(2), from: offset, to: end })
  }
})

test('a missing sector of any batch but the last is damage', () => {
  const log = sampleLog()
  for (const { segment, offset, end } of log.written.slice(0, -1)) {
    for (let at = offset; at < end; at += SECTOR_BYTES) {
      const segments = log.segments.map((bytes) => bytes.slice())
      segments[segment - 1]!.fill(0, at, at + SECTOR_BYTES)
      expect(refusalOf(() => recover(segments, log.hardStateFile(0, HARD_STATE))).code).toBe('WAL_CORRUPT')
    }
  }
})

test('a missing batch or segment is damage', () => {
  const log = sampleLog()
  const file = log.hardStateFile(0, HARD_STATE)
  for (const { segment, offset, end } of log.written.slice(0, -1)) {
    const segments = log.segments.map((bytes) => bytes.slice())
    segments[segment - 1]!.fill(0, offset, end)
    expect(refusalOf(() => recover(segments, file)).code).toBe('WAL_CORRUPT')
  }
  expect(refusalOf(() => recover(log.segments.slice(1), file, 2)).message).toContain('missing below')
  expect(
    refusalOf(() => recover(log.segments.slice(0, 1), log.hardStateFile(9, HARD_STATE))).message
  ).toContain('batch 9 (entry 14 of term 2), known to be durable')
  expect(refusalOf(() => recover([], file)).message).toContain('at least one segment')
})

test('a batch that was written for another place is damage', () => {
  const log = sampleLog()
  const last = log.written.at(-1)!
  const moved = log.segments.at(-1)!.slice()
  moved.copyWithin(last.end, last.offset, last.end)
  const file = log.hardStateFile(0, HARD_STATE)
  expect(refusalOf(() => recover([log.segments[0]!, moved], file)).details['offset']).toBe(last.end)
})

test('a segment that fits in everything but the chain of digests is refused', () => {
  const log = sampleLog()
  const other = sampleLog({ ...HARD_STATE, vote: 3 })
  const error = refusalOf(() => recover([log.segments[0]!, other.segments[1]!], undefined))
  expect(error.details['file']).toBe(segmentName(2))
  expect(error.message).toContain('expected a batch that follows digest')
})

test('without two intact slots a damaged log proves no term and vote', () => {
  const log = sampleLog()
  log.segments[1]![BLOCK_BYTES + 9]! ^= 4
  for (const spoil of [[10], [10, BLOCK_BYTES + 10]]) {
    const file = log.hardStateFile(9, HARD_STATE)
    for (const at of spoil) file[at]! ^= 1
    const error = refusalOf(() => recover(log.segments, file))
    expect(error.code).toBe('HARD_STATE_CORRUPT')
    expect(error.message).toContain(segmentName(2))
    expect(error.message).toContain(`${2 - spoil.length} of 2 slots intact`)
  }
  expect(refusalOf(() => recover(log.segments, undefined)).code).toBe('HARD_STATE_CORRUPT')
})

test('an intact log suffices when both slots are spoilt, and is told', () => {
  const log = sampleLog()
  const file = log.hardStateFile(9, HARD_STATE).fill(7)
  const { log: recovered, slot } = recover(log.segments, file)
  expect(slot).toBeUndefined()
  expect(recovered.hardState).toEqual(HARD_STATE)
  expect(recovered.repairs.join()).toContain('0 of 2 slots intact')
})

test('an empty log beside a spoilt hard-state file is refused', () => {
  const log = new LogImage()
  log.addSegment()
  const file = log.hardStateFile(0, { term: 0, vote: 0, commit: 0 })
  expect(recover(log.segments, file).log.isNew).toBe(true)
  expect(recover(log.segments, undefined).log.isNew).toBe(true)
  file[0]! ^= 1
  expect(refusalOf(() => recover(log.segments, file)).code).toBe('HARD_STATE_CORRUPT')
})

test('another format version is refused as such', () => {
  const withVersion = (block: Uint8Array): void => {
    viewOf(block).setUint32(8, 2, true)
    sealBlock(block)
  }
  const log = sampleLog()
  const file = log.hardStateFile(9, HARD_STATE)
  withVersion(file.subarray(0, BLOCK_BYTES))
  expect(refusalOf(() => recover(log.segments, file)).code).toBe('DATA_VERSION_UNSUPPORTED')
  withVersion(log.segments[1]!.subarray(0, BLOCK_BYTES))
  expect(refusalOf(() => recover(log.segments, undefined)).message).toBe(
    `${segmentName(2)}: got format version 2, expected 1`
  )
})

function sectorOf(at: number): number {
  return Math.floor(at / SECTOR_BYTES) * SECTOR_BYTES
}

/** Whether the sector that holds byte `at` is the same in both. */
function sectorIsWhole(segment: Uint8Array, intact: Uint8Array, at: number): boolean {
  const from = sectorOf(at)
  const [a, b] = [segment, intact].map((bytes) => bytes.subarray(from, from + SECTOR_BYTES))
  return Buffer.compare(a!, b!) === 0
}

function isZeroFrom(segment: Uint8Array, from: number): boolean {
  return Buffer.compare(segment.subarray(from), new Uint8Array(segment.length - from)) === 0
}
