// Reads the table `note` through PostgREST with supabase-js and prints what came back as one line of JSON.
import { createClient } from "@supabase/supabase-js";

const url = process.env.POSTGREST_URL;
const client = createClient(url, process.env.TOKEN ?? "anonymous", {
  db: { schema: "api" },
  auth: { persistSession: false },
  // Node before 22 has no WebSocket, and supabase-js wants one even where nothing is subscribed to.
  realtime: { transport: class {} },
  global: {
    // Supabase's gateway serves PostgREST below this path.
    fetch: (resource, options) => fetch(String(resource).replace("/rest/v1", ""), options),
    headers: process.env.TOKEN ? {} : { Authorization: "" },
  },
});
const { data, error, status } = await client.from("note").select("id").order("id");
console.log(JSON.stringify({ data, code: error?.code ?? null, status }));
