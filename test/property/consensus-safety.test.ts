/**
 * Raft's safety properties (paper, figure 3) on random schedules of a small group: messages are lost, duplicated, delayed
 * and reordered; peers crash and come back with what their disk had; memberships change; logs are compacted.
 */
import { expect, test } from 'vitest'
import { RaftWorld } from '../helpers/raft-world.ts'

const SEEDS = 800
const STEPS = 2_000

test(`no schedule of ${SEEDS} seeds breaks a safety property, and the group makes progress`, () => {
  let committed = 0
  let ledTerms = 0
  let changes = 0
  let snapshots = 0
  let reads = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new RaftWorld(seed)
    try {
      world.run(STEPS)
    } catch (error) {
      throw new Error(`seed ${seed}, step ${world.steps}`, { cause: error })
    }
    committed += world.committed
    ledTerms += world.ledTerms
    changes += world.membershipChanges
    snapshots += world.snapshotsInstalled
    reads += world.readsAnswered
  }
  // Otherwise the properties would hold for want of anything to break them.
  expect(ledTerms).toBeGreaterThan(SEEDS * 2)
  expect(committed).toBeGreaterThan(SEEDS * 20)
  expect(changes).toBeGreaterThan(SEEDS)
  expect(reads).toBeGreaterThan(SEEDS)
  expect(snapshots).toBeGreaterThan(SEEDS / 10)
})

test('after the network heals, the group elects a leader and all logs become equal', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const world = new RaftWorld(seed)
    world.run(600)
    expect(world.heal(), `seed ${seed}`).toBe(true)
  }
})
