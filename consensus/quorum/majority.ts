/** Decisions of a simple majority. Voters are sorted, distinct ids. */

/** The state of an election: still open, or decided either way. */
export type VoteResult = 'pending' | 'lost' | 'won'

/** The highest index that a peer has acknowledged, or undefined when nothing is known of it. */
export type AckedIndex = (id: number) => number | undefined

/** The number of voters that decides for a group of `size` ≥ 1. */
export function quorumSize(size: number): number {
  return Math.floor(size / 2) + 1
}

/**
 * The highest index that a majority has acknowledged. An empty group has acknowledged everything (Infinity), so that the
 * absent half of a joint configuration never holds the other back.
 */
export function committedByMajority(voters: readonly number[], acked: AckedIndex): number {
  if (voters.length === 0) return Infinity
  const indexes: number[] = []
  for (const id of voters) insertSorted(indexes, acked(id) ?? 0)
  return indexes[voters.length - quorumSize(voters.length)] ?? 0
}

/** Counts votes: `true` grants, `false` refuses, absent is open. An empty group always grants. */
export function voteOfMajority(voters: readonly number[], votes: ReadonlyMap<number, boolean>): VoteResult {
  if (voters.length === 0) return 'won'
  let granted = 0
  let open = 0
  for (const id of voters) {
    const vote = votes.get(id)
    if (vote === undefined) open++
    else if (vote) granted++
  }
  const needed = quorumSize(voters.length)
  if (granted >= needed) return 'won'
  return granted + open >= needed ? 'pending' : 'lost'
}

function insertSorted(sorted: number[], value: number): void {
  let at = sorted.length
  sorted.push(value)
  while (at > 0) {
    const left = sorted[at - 1]
    if (left === undefined || left <= value) break
    sorted[at] = left
    at--
  }
  sorted[at] = value
}
