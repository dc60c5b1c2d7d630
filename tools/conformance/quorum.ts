/** The commands of the quorum tables: `committed` and `vote`, each computed in several ways that must agree. */
import type { JointVoters } from '../../consensus/quorum/joint.ts'
import { committedByJoint, jointVoterIds, voteOfJoint } from '../../consensus/quorum/joint.ts'
import type { VoteResult } from '../../consensus/quorum/majority.ts'
import { committedByMajority, voteOfMajority } from '../../consensus/quorum/majority.ts'
import { ascending } from '../../consensus/types.ts'
import type { Directive } from './datadriven.ts'
import { ScriptError } from './datadriven.ts'
import { scanNumber } from './scan.ts'

const RESULT_NAMES: Readonly<Record<VoteResult, string>> = {
  pending: 'VotePending',
  lost: 'VoteLost',
  won: 'VoteWon'
}

interface Input {
  readonly ids: readonly number[]
  /** Undefined: a simple majority is tested. */
  readonly jointIds: readonly number[] | undefined
  /** One value per distinct voter, in order of appearance; 0 where nothing is known. */
  readonly values: readonly number[]
}

/** Runs one directive of a quorum table. */
export function runQuorum(directive: Directive): string {
  const input = parseInput(directive)
  const voters: JointVoters = { incoming: distinct(input.ids), outgoing: distinct(input.jointIds ?? []) }
  const all = jointVoterIds(voters)
  if (all.length !== input.values.length) {
    const map = all.map((id) => `${id}:{}`).join(' ')
    return `error: mismatched input (explicit or _) for voters map[${map}]: [${input.values.join(' ')}]`
  }
  const known = assign(input)
  if (directive.command === 'committed') {
    return input.jointIds === undefined
      ? committedMajority(voters.incoming, known)
      : committedJoint(voters, known)
  }
  if (directive.command === 'vote') return voteText(voters, input.jointIds !== undefined, known)
  throw new ScriptError(`unknown command: ${directive.command}`)
}

function parseInput(directive: Directive): Input {
  const ids: number[] = []
  let jointIds: number[] | undefined
  const values: number[] = []
  for (const { key, values: texts } of directive.args) {
    for (const text of texts) {
      switch (key) {
        case 'cfg':
          ids.push(scanNumber(text))
          break
        case 'cfgj':
          jointIds ??= []
          if (text !== 'zero') jointIds.push(scanNumber(text))
          break
        case 'idx':
          values.push(text === '_' ? 0 : scanNumber(text))
          break
        case 'votes':
          values.push(scanVote(text))
          break
        default:
          throw new ScriptError(`unknown arg ${key}`)
      }
    }
  }
  return { ids, jointIds, values }
}

/** 2 for, 1 against, 0 open. */
function scanVote(text: string): number {
  const value = ['_', 'n', 'y'].indexOf(text)
  if (value < 0) throw new ScriptError(`unknown vote: ${text}`)
  return value
}

/** Gives the values to the voters in order of appearance; voters of both halves appear once. */
function assign(input: Input): ReadonlyMap<number, number> {
  const order = [...new Set([...input.ids, ...(input.jointIds ?? [])])]
  const known = new Map<number, number>()
  for (const [at, id] of order.entries()) {
    const value = input.values[at] ?? 0
    if (value !== 0) known.set(id, value)
  }
  return known
}

function committedMajority(ids: readonly number[], known: ReadonlyMap<number, number>): string {
  const acked = (id: number): number | undefined => known.get(id)
  const index = committedByMajority(ids, acked)
  let text = describe(ids, known)
  const note = (other: number, how: string): void => {
    if (other !== index) text += `${indexText(other)} <-- ${how}\n`
  }
  note(naiveCommitted(ids, known), 'via alternative computation')
  note(committedByJoint({ incoming: ids, outgoing: [] }, acked), 'via zero-joint quorum')
  note(committedByJoint({ incoming: ids, outgoing: ids }, acked), 'via self-joint quorum')
  for (const id of ids) {
    const own = known.get(id) ?? 0
    if (own === 0 || index <= own) continue
    // Below the committed index, what a voter has acknowledged makes no difference.
    for (const lowered of [own - 1, 0]) {
      const other = committedByMajority(ids, (voter) => (voter === id ? lowered : known.get(voter)))
      note(other, `overlaying ${id}->${lowered}`)
    }
  }
  return `${text}${indexText(index)}\n`
}

function committedJoint(voters: JointVoters, known: ReadonlyMap<number, number>): string {
  const acked = (id: number): number | undefined => known.get(id)
  const index = committedByJoint(voters, acked)
  const swapped = committedByJoint({ incoming: voters.outgoing, outgoing: voters.incoming }, acked)
  const symmetry = swapped === index ? '' : `${indexText(swapped)} <-- via symmetry\n`
  return `${describe(jointVoterIds(voters), known)}${symmetry}${indexText(index)}\n`
}

function voteText(voters: JointVoters, joint: boolean, known: ReadonlyMap<number, number>): string {
  const votes = new Map([...known].map(([id, value]) => [id, value !== 1]))
  if (!joint) return `${RESULT_NAMES[voteOfMajority(voters.incoming, votes)]}\n`
  const result = voteOfJoint(voters, votes)
  const swapped = voteOfJoint({ incoming: voters.outgoing, outgoing: voters.incoming }, votes)
  const symmetry = swapped === result ? '' : `${RESULT_NAMES[swapped]} <-- via symmetry\n`
  return `${symmetry}${RESULT_NAMES[result]}\n`
}

/** The highest acknowledged index that a majority has, found by counting. */
function naiveCommitted(ids: readonly number[], known: ReadonlyMap<number, number>): number {
  if (ids.length === 0) return Infinity
  let best = 0
  for (const index of known.values()) {
    const count = ids.filter((id) => (known.get(id) ?? 0) >= index).length
    if (count * 2 > ids.length && index > best) best = index
  }
  return best
}

/** A bar per voter that shows how many are behind it. */
function describe(ids: readonly number[], known: ReadonlyMap<number, number>): string {
  if (ids.length === 0) return '<empty majority quorum>'
  const width = ids.length
  let text = `${' '.repeat(width)}    idx\n`
  for (const id of ids) {
    const index = known.get(id)
    const bar = ids.filter((other) => (known.get(other) ?? 0) < (index ?? 0)).length
    const left =
      index === undefined ? `?${' '.repeat(width)}` : `${'x'.repeat(bar)}>${' '.repeat(width - bar)}`
    text += `${left} ${String(index ?? 0).padStart(5)}    (id=${id})\n`
  }
  return text
}

function indexText(index: number): string {
  return index === Infinity ? '∞' : String(index)
}

function distinct(ids: readonly number[]): readonly number[] {
  return [...new Set(ids)].sort(ascending)
}
