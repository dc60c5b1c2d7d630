/**
 * Replays a recorded log of the task machine and prints the checksum of the state that it leads to.
 *
 *   replay-log FILE                       one JSON object: { node, entries, checksum }
 *   replay-log FILE --versions 22,24      the same under other Node releases, fetched by npx; exit 1 if any differs
 *
 * FILE has one log entry a line, in base64. A release that cannot be fetched is reported as skipped and is no failure.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { argv, exit, version } from 'node:process'
import { fileURLToPath } from 'node:url'
import { applyBatch } from '../scheduler/apply/index.ts'
import { decodeBatch } from '../scheduler/codec.ts'
import { drainChanges, recomputeChecksum, stateChecksum } from '../scheduler/records.ts'
import { createState } from '../scheduler/state.ts'

interface Replay {
  readonly node: string
  readonly entries: number
  readonly checksum: string
}

/** Longest wait for one release: it may have to be downloaded. */
const TIMEOUT_MS = 180_000

function replay(file: string): Replay {
  const state = createState()
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  for (const line of lines) {
    applyBatch(state, decodeBatch(Buffer.from(line, 'base64')), [])
    drainChanges(state)
  }
  const checksum = stateChecksum(state)
  if (recomputeChecksum(state) !== checksum)
    throw new Error('the incremental checksum does not match the state')
  return { node: version, entries: lines.length, checksum }
}

/** The replay under another release, or undefined when it cannot be had. */
function replayUnder(release: string, file: string): Replay | undefined {
  const args = ['-y', '-p', `node@${release}`, 'node', fileURLToPath(import.meta.url), file]
  const { status, stdout, stderr } = spawnSync('npx', args, { encoding: 'utf8', timeout: TIMEOUT_MS })
  const line = stdout.trim().split('\n').at(-1) ?? ''
  if (status === 0 && line.startsWith('{')) return JSON.parse(line) as Replay
  console.error(`node ${release}: skipped, npx could not run it: ${stderr.trim().split('\n').at(-1) ?? ''}`)
  return undefined
}

const USAGE = 'usage: replay-log FILE [--versions 22,24]'

const [, , file, flag, versions] = argv
if (file === '--help' || file === '-h') {
  console.log(USAGE)
  exit(0)
}
if (file === undefined || file.startsWith('-') || (flag !== undefined && flag !== '--versions')) {
  console.error(USAGE)
  exit(2)
}
const own = replay(file)
console.log(JSON.stringify(own))
for (const release of versions?.split(',') ?? []) {
  const other = replayUnder(release, file)
  if (other === undefined) continue
  console.log(JSON.stringify(other))
  if (other.checksum !== own.checksum) {
    console.error(`node ${release}: got ${other.checksum}, expected ${own.checksum}`)
    exit(1)
  }
}
