/** `v1 l2 r3 u4`: make 1 a voter, 2 a learner, remove 3, update 4. */
import type { ConfChangeSingle, ConfChangeType } from '../../consensus/types.ts'

const TYPES: ReadonlyMap<string, ConfChangeType> = new Map([
  ['v', 'add-node'],
  ['l', 'add-learner-node'],
  ['r', 'remove-node'],
  ['u', 'update-node']
])

/** The changes, or the message about the first word that is none. */
export function parseChanges(text: string): readonly ConfChangeSingle[] | string {
  const changes: ConfChangeSingle[] = []
  for (const word of text.trim().split(' ')) {
    if (word === '') continue
    if (word.length < 2) return `unknown token ${word}`
    const type = TYPES.get(word.charAt(0))
    if (type === undefined) return `unknown input: ${word}`
    const id = word.slice(1)
    if (!/^[0-9]+$/.test(id)) return `strconv.ParseUint: parsing "${id}": invalid syntax`
    changes.push({ type, nodeId: Number(id) })
  }
  return changes
}
