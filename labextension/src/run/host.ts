/** What the view of a run needs of JupyterLab around it. */
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { createContext, useContext } from 'react';
import { RunDetail } from '../api/types';
import { Model } from '../model';

export interface IHost {
  readonly model: Model;
  readonly rendermime: IRenderMimeRegistry;
  /** Colours code; without it code is plain. */
  readonly languages: IEditorLanguageRegistry | null;
  /** Executes one of {@link Commands}. */
  open(command: string, args: Record<string, string>): void;
  /** Puts a copy of the executed notebook into the folder that the file browser shows, and opens it. */
  openNotebook(run: RunDetail): Promise<void>;
  /** The address of a route below `mlrun/v1/`. */
  address(path: string): string;
}

export const Host = createContext<IHost>(null as unknown as IHost);
export const useHost = () => useContext(Host);
