/** The commands of the membership tables: `simple`, `enter-joint` and `leave-joint` on one evolving configuration. */
import type { ChangeResult } from '../../consensus/confchange/changer.ts'
import { baseOf, enterJoint, leaveJoint, simpleChange } from '../../consensus/confchange/changer.ts'
import { describeMembership, describePeers } from '../../consensus/describe.ts'
import { ProgressTracker } from '../../consensus/tracker/tracker.ts'
import type { ConfChangeSingle } from '../../consensus/types.ts'
import { parseChanges } from './conf-change-text.ts'
import type { Directive } from './datadriven.ts'
import { namedValue, scanBoolean } from './scan.ts'

/** A runner for the directives of one file, which build upon each other. */
export function createConfChangeRunner(): (directive: Directive) => string {
  const tracker = new ProgressTracker(10, Infinity)
  let lastIndex = 0
  return (directive) => {
    const changes = parseChanges(directive.input)
    if (typeof changes === 'string') return changes
    const result = change(directive, changes, tracker, lastIndex++)
    if (result === undefined) return 'unknown command'
    if (!result.ok) return `${result.reason}\n`
    tracker.replace(result.membership, result.progress)
    const peers = tracker.peers.map((peer) => peer.status())
    return `${describeMembership(tracker.membership)}\n${describePeers(peers)}`
  }
}

function change(
  directive: Directive,
  changes: readonly ConfChangeSingle[],
  tracker: ProgressTracker,
  lastIndex: number
): ChangeResult | undefined {
  const base = baseOf(tracker, lastIndex)
  switch (directive.command) {
    case 'simple':
      return simpleChange(base, changes)
    case 'enter-joint': {
      const autoLeave = directive.args.length > 0 && scanBoolean(namedValue(directive.args, 'autoleave'))
      return enterJoint(base, autoLeave, changes)
    }
    case 'leave-joint':
      if (changes.length > 0) return { ok: false, reason: 'this command takes no input' }
      return leaveJoint(base)
    default:
      return undefined
  }
}
