/** The messages, by their names in the contract. `schema.ts` is generated of it (`jlpm types`); only the streams are written here. */
import type { components } from './schema';

type Messages = components['schemas'];
type Filled<T extends keyof Messages> = Required<Messages[T]>;

export type Project = Filled<'Project'>;
export type Status = Filled<'Status'>;
export type FunctionSummary = Filled<'FunctionSummary'>;
export type FunctionDetail = Filled<'FunctionDetail'>;
export type Parameter = Filled<'Parameter'>;
export type Input = Filled<'Input'>;
export type RunSummary = Filled<'RunSummary'>;
export type RunDetail = Filled<'RunDetail'>;
export type NewRun = Pick<Messages['NewRun'], 'function'> & Partial<Messages['NewRun']>;
export type Rerun = Partial<Messages['Rerun']>;
export type Point = Filled<'Point'>;
export type Metrics = Filled<'Metrics'>;
export type Comparison = Filled<'Comparison'>;
export type ArtifactSummary = Filled<'ArtifactSummary'>;
export type ArtifactDetail = Filled<'ArtifactDetail'>;
export type FeatureSummary = Filled<'FeatureSummary'>;
export type FeatureDetail = Filled<'FeatureDetail'>;
export type Graph = Filled<'Graph'>;
export type GraphNode = Filled<'Node'>;
export type CellToAnalyse = Pick<Messages['CellToAnalyse'], 'source'> & Partial<Messages['CellToAnalyse']>;
export type Analysis = Filled<'Analysis'>;
export type AnalysisProblem = Filled<'AnalysisProblem'>;
export type Completions = Filled<'Completions'>;
export type State = RunSummary['state'];

/** A page of a listing. */
export interface Page<T> {
  items: T[];
  next_page_token: string;
}

/** A line of a run's journal. */
export interface Entry {
  n: number;
  t: number;
  cell: number;
  type: string;
  text?: string;
  line?: boolean;
  data?: Record<string, unknown>;
  output?: {
    output_type: string;
    data?: Record<string, unknown>;
    traceback?: string[];
    ename?: string;
    evalue?: string;
  };
}

/** One Server-Sent Event. */
export interface Event {
  event: string;
  id: string;
  data: any;
}

export const TERMINAL: ReadonlySet<State> = new Set<State>(['completed', 'error', 'aborted', 'lost']);
