/**
 * Finds and ends whole process trees, and says when nothing of one is left.
 *
 * A process belongs to a tree when it is its root, in the root's session or group, carries the tree's mark in its
 * environment, or was once seen below a member. So `setsid` and double forks are found. One thing escapes: a process
 * that cleared its environment, left the session and lost its parent between two looks.
 *
 * 1. `onGone` is called once a tree, only after a look that found no live member.
 * 2. A pid counts only with the start time it was first seen with, so a reused pid is never killed.
 * 3. One look at /proc serves all trees that wait for one.
 */
import { readMark, readProcessTable, readStartTicks, signal } from './process-table.ts'
import type { ProcessInfo } from './process-table.ts'

const POLL_MS = [1, 2, 5, 10, 20, 50] as const
const SAMPLE_MS = 500
const FIRST_SAMPLE_MS = 50
const PAGE_BYTES = 4096

/** One tree. */
export interface Tree {
  /** Of the root, which leads a session of its own. */
  readonly pid: number
  readonly mark: string
  /** Largest sum of resident sizes that a look saw; 0 before the first. */
  peakMemoryBytes: number
}

export interface TreeReaper {
  /** Follows a tree from its start. */
  track(pid: number, mark: string): Tree
  /** Whether the root still runs is the caller's to know: until it says so here, the tree is not gone. */
  rootEnded(tree: Tree): void
  /** SIGTERM to all of it. */
  ask(tree: Tree): void
  /** SIGKILL to all of it, again and again until it is gone. */
  kill(tree: Tree): void
  /** Looks from now on whether it is gone, without a signal. */
  watch(tree: Tree): void
}

interface Tracked extends Tree {
  readonly startTicks: number
  /** Start times of the members seen so far, by pid. */
  readonly known: Map<number, number>
  state: 'running' | 'watched' | 'killed'
  rootAlive: boolean
  looks: number
}

/** A reaper for the children of this process. */
export function createTreeReaper(onGone: (tree: Tree) => void): TreeReaper {
  const trees = new Set<Tracked>()
  let timer: NodeJS.Timeout | undefined
  let timerAt = Infinity

  const arm = (delayMs: number): void => {
    const at = performance.now() + delayMs
    if (timer !== undefined && timerAt <= at) return
    clearTimeout(timer)
    timerAt = at
    timer = setTimeout(() => {
      timer = undefined
      timerAt = Infinity
      look()
    }, delayMs)
  }
  const look = (): void => {
    const members = findMembers(trees)
    let next = Infinity
    for (const [tree, found] of members) {
      tree.peakMemoryBytes = Math.max(tree.peakMemoryBytes, residentBytes(found))
      if (tree.state === 'killed') killAll(tree, found)
      const others = found.some(({ pid }) => pid !== tree.pid)
      if (!tree.rootAlive && !others && tree.state !== 'running') {
        trees.delete(tree)
        onGone(tree)
      } else next = Math.min(next, delayUntilNextLook(tree))
    }
    if (next !== Infinity) arm(next)
  }
  const urge = (tree: Tree, state: Tracked['state']): void => {
    const tracked = tree as Tracked
    if (tracked.state !== 'killed') tracked.state = state
    tracked.looks = 0
    arm(0)
  }
  return {
    track: (pid, mark) => {
      const tree = newTree(pid, mark)
      trees.add(tree)
      arm(FIRST_SAMPLE_MS)
      return tree
    },
    rootEnded: (tree) => {
      const tracked = tree as Tracked
      tracked.rootAlive = false
      if (tracked.state !== 'running') arm(0)
    },
    ask: (tree) => {
      const tracked = tree as Tracked
      const found = findMembers(new Set([tracked])).get(tracked) ?? []
      signalRoot(tracked, 'SIGTERM')
      for (const { pid, group } of found) if (group !== tracked.pid) signal(pid, 'SIGTERM')
    },
    kill: (tree) => {
      urge(tree, 'killed')
    },
    watch: (tree) => {
      urge(tree, 'watched')
    }
  }
}

function newTree(pid: number, mark: string): Tracked {
  const startTicks = readStartTicks(pid)
  return {
    pid,
    mark,
    startTicks,
    known: new Map([[pid, startTicks]]),
    peakMemoryBytes: 0,
    state: 'running',
    rootAlive: true,
    looks: 0
  }
}

function delayUntilNextLook(tree: Tracked): number {
  if (tree.state === 'running') return SAMPLE_MS
  return POLL_MS[Math.min(tree.looks++, POLL_MS.length - 1)] ?? SAMPLE_MS
}

function killAll(tree: Tracked, found: readonly ProcessInfo[]): void {
  signalRoot(tree, 'SIGKILL')
  for (const { pid } of found) if (pid !== tree.pid) signal(pid, 'SIGKILL')
}

/** While the root lives, or any of its group does, no other group can have its number. */
function signalRoot(tree: Tracked, name: NodeJS.Signals): void {
  if (tree.rootAlive) signal(-tree.pid, name)
}

function residentBytes(found: readonly ProcessInfo[]): number {
  let pages = 0
  for (const { residentPages } of found) pages += residentPages
  return pages * PAGE_BYTES
}

/** The live members of each tree, its known ones updated. */
function findMembers(trees: ReadonlySet<Tracked>): Map<Tracked, ProcessInfo[]> {
  const members = new Map<Tracked, ProcessInfo[]>()
  const byMark = new Map<string, Tracked>()
  const byRoot = new Map<number, Tracked>()
  const byPid = new Map<number, Tracked>()
  let oldest = Infinity
  for (const tree of trees) {
    members.set(tree, [])
    byMark.set(tree.mark, tree)
    byRoot.set(tree.pid, tree)
    for (const pid of tree.known.keys()) byPid.set(pid, tree)
    oldest = Math.min(oldest, tree.startTicks)
  }
  const undecided: ProcessInfo[] = []
  const claim = (tree: Tracked, info: ProcessInfo): void => {
    members.get(tree)?.push(info)
    tree.known.set(info.pid, info.startTicks)
    byPid.set(info.pid, tree)
  }
  for (const info of readProcessTable()) {
    // What is older than every root can be part of none, so its environment need not be read.
    if (info.startTicks < oldest || info.pid === process.pid) continue
    const tree = ownerOf(info, byPid, byRoot) ?? byMark.get(readMark(info.pid) ?? '')
    if (tree === undefined) undecided.push(info)
    else claim(tree, info)
  }
  // A child may stand before its parent in the table; pids wrap around.
  for (let found = true; found;) {
    found = false
    for (const [index, info] of undecided.entries()) {
      const tree = byPid.get(info.parent)
      if (tree === undefined || !(members.get(tree) ?? []).some(({ pid }) => pid === info.parent)) continue
      undecided.splice(index, 1)
      claim(tree, info)
      found = true
      break
    }
  }
  return members
}

function ownerOf(
  info: ProcessInfo,
  byPid: ReadonlyMap<number, Tracked>,
  byRoot: ReadonlyMap<number, Tracked>
): Tracked | undefined {
  const known = byPid.get(info.pid)
  if (known?.known.get(info.pid) === info.startTicks) return known
  const tree = byRoot.get(info.session) ?? byRoot.get(info.group)
  return tree !== undefined && info.startTicks >= tree.startTicks ? tree : undefined
}
