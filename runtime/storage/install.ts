/** How the rows that a snapshot brought take the place of the state store's. */
import type { SchedulerState } from '../../scheduler/state.ts'
import type { Store, StoreProvider } from '../ports/store.ts'
import type { AppliedPosition, Materializer } from './materializer.ts'
import { STATE_STORE } from './open-log.ts'
import { openState } from './open-state.ts'
import { INCOMING_STORE } from './snapshots.ts'

export interface InstalledRows {
  readonly store: Store
  readonly state: SchedulerState
  readonly position: AppliedPosition
}

/** Swaps the received rows in and reads the state that they describe. The materializer waits to be attached to it. */
export async function installRows(stores: StoreProvider, materializer: Materializer): Promise<InstalledRows> {
  const store = await materializer.detach()
  await store.close()
  await stores.swap(STATE_STORE, INCOMING_STORE)
  const fresh = await stores.open(STATE_STORE)
  const { state, position } = await openState(fresh)
  return { store: fresh, state, position }
}
