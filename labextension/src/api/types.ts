/** What the server sends, as far as the extension reads it. */
export type State = 'created' | 'pending' | 'running' | 'completed' | 'error' | 'aborted' | 'lost';

export interface Page<T> {
  items: T[];
  next_page_token: string;
}

export interface Project {
  name: string;
  description?: string;
}

export interface Status {
  version: string;
  current_project: string;
}

export interface FunctionSummary {
  name: string;
  hash: string;
  uri: string;
  tags: string[];
  kind: string;
  description: string;
  created: string;
  notebook: string;
}

export interface RunSummary {
  uid: string;
  project: string;
  name: string;
  state: State;
  function: string;
  iteration: number;
  parent: string;
  created: string;
  started: string;
  ended: string;
  duration: number | null;
  progress: { cell?: number; of?: number; text?: string };
  parameters: Record<string, unknown>;
  results: Record<string, unknown>;
  labels: Record<string, string>;
  owner: string;
  executor: string;
  cause: string;
  cached_from: string;
}

export interface ArtifactSummary {
  key: string;
  kind: string;
  uri: string;
  tags: string[];
  size: number;
  created: string;
}

export interface RunDetail extends RunSummary {
  inputs: Record<string, string>;
  artifacts: ArtifactSummary[];
  notes: string[];
  error: string;
  environment: Record<string, string>;
  commit: string;
  peak_memory: number;
}

export interface Entry {
  n: number;
  t: number;
  cell: number;
  type: string;
  text?: string;
  line?: boolean;
  data?: Record<string, unknown>;
  output?: { output_type: string; data?: Record<string, unknown>; traceback?: string[]; ename?: string; evalue?: string };
}

export interface Event {
  event: string;
  id: string;
  data: any;
}

export const TERMINAL: ReadonlySet<State> = new Set(['completed', 'error', 'aborted', 'lost']);
