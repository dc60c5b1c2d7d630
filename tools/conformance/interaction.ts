/**
 * The interpreter of interaction scripts: a group of nodes, the messages between them, and every command that drives
 * them. Delivery and storage happen only when a script says so.
 */
import {
  describeEntries,
  describeMessage,
  describePeers,
  describeReady,
  describeRole
} from '../../consensus/describe.ts'
import type { Message, MessageType, StepResult } from '../../consensus/types.ts'
import { hardStateOf, isLocalThread } from '../../consensus/types.ts'
import type { Argument, Directive } from './datadriven.ts'
import { ScriptError } from './datadriven.ts'
import type { InteractionNode } from './interaction-node.ts'
import { CommandError, Output } from './output.ts'
import { bareIds } from './scan.ts'

/** Who is to receive (or lose) the messages addressed to it. */
export interface Recipient {
  readonly id: number
  readonly drop: boolean
}

/** The group under test. */
export class InteractionEnv {
  readonly output = new Output()
  readonly nodes: InteractionNode[] = []
  messages: Message[] = []

  /** The node with this id. */
  node(id: number): InteractionNode {
    const node = this.nodes[id - 1]
    if (node === undefined) throw new ScriptError(`there is no node ${id}`)
    return node
  }

  /** Reports a step that was refused. */
  check(result: StepResult): void {
    const message = stepErrorText(result)
    if (message !== undefined) throw new CommandError(message)
  }

  /** Handles one `ready()` of a node. */
  processReady(id: number): void {
    const node = this.node(id)
    const ready = node.raw.ready()
    this.output.write(describeReady(ready))
    if (!node.asyncStorageWrites) {
      node.append(ready.hardState, ready.entries, ready.snapshot)
      node.apply(ready.committedEntries)
    }
    for (const message of ready.messages) {
      if (message.type === 'MsgStorageAppend') node.appendWork.push(message)
      else if (message.type === 'MsgStorageApply') node.applyWork.push(message)
      else this.messages.push(message)
    }
    if (!node.asyncStorageWrites) node.raw.advance()
  }

  /** Does the oldest piece of work of a node's append thread. */
  processAppendThread(id: number): void {
    const node = this.node(id)
    const message = node.appendWork.shift()
    if (message === undefined) {
      this.output.write('no append work to perform')
      return
    }
    this.processWork(message, () => {
      node.append(hardStateOf(message), message.entries, message.snapshot)
    })
  }

  /** Does the oldest piece of work of a node's apply thread. */
  processApplyThread(id: number): void {
    const node = this.node(id)
    const message = node.applyWork.shift()
    if (message === undefined) {
      this.output.write('no apply work to perform')
      return
    }
    this.processWork(message, () => {
      node.apply(message.entries)
    })
  }

  /** Delivers or drops messages; of one type only if `type` is given. Returns how many. */
  deliver(type: MessageType | undefined, recipients: readonly Recipient[]): number {
    let count = 0
    for (const { id, drop } of recipients) {
      const taken = this.messagesTo(id, type, drop)
      const takenSet = new Set(taken)
      this.messages = this.messages.filter((message) => !takenSet.has(message))
      count += taken.length
      for (const message of taken) {
        this.output.write(`${drop ? 'dropped: ' : ''}${describeMessage(message)}\n`)
        if (drop) continue
        const error = stepErrorText(this.node(id).raw.step(message))
        if (error !== undefined) this.output.write(`${error}\n`)
      }
    }
    return count
  }

  /** Runs ready handling, delivery and storage threads of the nodes until nothing is left to do. */
  stabilize(ids: readonly number[]): void {
    const nodes = ids.length > 0 ? ids.map((id) => this.node(id)) : this.nodes
    while (this.stabilizeOnce(nodes)) {
      // Every pass may give rise to the next.
    }
  }

  /** Prints the stored log of a node. */
  printLog(id: number): void {
    const { storage } = this.node(id)
    const first = storage.firstIndex()
    const last = storage.lastIndex()
    if (last < first) {
      this.output.write(`log is empty: first index=${first}, last index=${last}`)
      return
    }
    const entries = storage.entries(first, last + 1, Infinity)
    if (typeof entries !== 'string') this.output.write(describeEntries(entries))
  }

  /** Prints every node's own view of its role. */
  printRoles(): void {
    for (const { raw } of this.nodes) {
      const { id, role, hardState, lead, confState } = raw.status()
      const voter = confState.voters.includes(id) || confState.votersOutgoing.includes(id)
      this.output.write(
        `${id}: ${describeRole(role)} ${voter ? '(Voter)' : '(Non-Voter)'} Term:${hardState.term} Lead:${lead}\n`
      )
    }
  }

  /** Prints what a leader knows of its peers. */
  printStatus(id: number): void {
    this.output.write(describePeers(this.node(id).raw.status().progress))
  }

  /** Runs `body` for the nodes named on the command line, under a heading each when there are several. */
  forEachId(args: readonly Argument[], heading: string, body: (id: number) => void): void {
    const ids = bareIds(args)
    for (const id of ids) {
      if (ids.length > 1) {
        this.underHeading(id, heading, body)
      } else {
        body(id)
      }
    }
  }

  private stabilizeOnce(nodes: readonly InteractionNode[]): boolean {
    let active = false
    for (const { id, raw } of nodes) {
      if (!raw.hasReady()) continue
      active = true
      this.underHeading(id, 'handling Ready', () => {
        this.processReady(id)
      })
    }
    for (const { id } of nodes) {
      if (this.messagesTo(id, undefined, false).length === 0) continue
      active = true
      this.underHeading(id, 'receiving messages', () => {
        this.deliver(undefined, [{ id, drop: false }])
      })
    }
    for (const { id, appendWork } of nodes) {
      if (appendWork.length === 0) continue
      active = true
      this.underHeading(id, 'processing append thread', () => {
        while (appendWork.length > 0) this.processAppendThread(id)
      })
    }
    for (const { id, applyWork } of nodes) {
      if (applyWork.length === 0) continue
      active = true
      this.underHeading(id, 'processing apply thread', () => {
        while (applyWork.length > 0) this.processApplyThread(id)
      })
    }
    return active
  }

  private underHeading(id: number, heading: string, body: (id: number) => void): void {
    this.output.write(`> ${id} ${heading}\n`)
    this.output.indent(() => {
      body(id)
    })
  }

  private processWork(message: Message, work: () => void): void {
    this.output.write(`Processing:\n${describeMessage({ ...message, responses: [] })}\n`)
    work()
    this.output.write('Responses:\n')
    for (const response of message.responses) this.output.write(`${describeMessage(response)}\n`)
    this.messages.push(...message.responses)
  }

  /** Messages to a node, oldest first. Local ones are never dropped: storage is reliable. */
  private messagesTo(id: number, type: MessageType | undefined, drop: boolean): Message[] {
    return this.messages.filter(
      (message) =>
        message.to === id && (type === undefined || message.type === type) && !(drop && isLocal(message))
    )
  }
}

/** Runs one directive with `command`, and returns what it printed. */
export function runInteraction(
  env: InteractionEnv,
  directive: Directive,
  command: (env: InteractionEnv, directive: Directive) => void
): string {
  env.output.take()
  try {
    command(env, directive)
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    // Errors are printed even when nothing else is.
    if (env.output.quiet) return error.message
    env.output.write(error.message)
  }
  const text = env.output.take()
  return text === '' ? 'ok' : text
}

function isLocal(message: Message): boolean {
  return message.from === message.to || isLocalThread(message.from) || isLocalThread(message.to)
}

function stepErrorText(result: StepResult): string | undefined {
  switch (result) {
    case 'ok':
      return undefined
    case 'local-message':
      return 'raft: cannot step raft local message'
    case 'peer-not-found':
      return 'raft: cannot step as peer not found'
    default:
      return 'raft proposal dropped'
  }
}
