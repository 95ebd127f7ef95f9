import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/** Expressions over one table, or over none. */
final class Expressions {
    /** Expressions evaluated by one job, as long as none of them fails. */
    private static final int BATCH = 40;

    private final TableEnvironment tables;
    private final String from;
    private final List<String> texts = new ArrayList<>();
    private final List<Map<String, Object>> answers = new ArrayList<>();

    Expressions(JsonNode request) {
        tables = Golden.environment(request, false);
        from = request.get("from").asText();
        request.get("expressions").forEach(text -> texts.add(text.asText()));
    }

    List<Map<String, Object>> answers() {
        List<Integer> planned = new ArrayList<>();
        for (String text : texts) {
            Map<String, Object> answer = new LinkedHashMap<>();
            try {
                var schema = tables.sqlQuery("SELECT " + text + " AS r " + from).getResolvedSchema();
                answer.put("type", schema.getColumnDataTypes().get(0).getLogicalType().asSummaryString());
                planned.add(answers.size());
            } catch (Throwable error) {
                Golden.refuse(answer, error);
            }
            answers.add(answer);
        }
        for (int begin = 0; begin < planned.size(); begin += BATCH) {
            evaluate(planned.subList(begin, Math.min(begin + BATCH, planned.size())));
        }
        return answers;
    }

    /** By one job; by halves when it fails; row by row when a single expression does. */
    private void evaluate(List<Integer> indices) {
        List<Object> columns = new ArrayList<>();
        indices.forEach(index -> columns.add(new ArrayList<>()));
        Throwable error = run(indices, "", columns);
        for (int column = 0; error == null && column < indices.size(); column++) {
            answers.get(indices.get(column)).put("rows", columns.get(column));
        }
        if (error != null && indices.size() > 1) {
            int half = indices.size() / 2;
            evaluate(indices.subList(0, half));
            evaluate(indices.subList(half, indices.size()));
        } else if (error != null) {
            rowByRow(indices, error);
        }
    }

    private void rowByRow(List<Integer> single, Throwable first) {
        Map<String, Object> answer = answers.get(single.get(0));
        if (first instanceof Unplanned) {
            answer.remove("type");
            Golden.refuse(answer, first.getCause());
            return;
        }
        answer.put("message", Golden.root(first).getMessage());
        List<Object> rows = new ArrayList<>();
        int count = from.isEmpty() ? 1 : countRows();
        for (int row = 1; row <= count; row++) {
            Throwable error = from.isEmpty() ? first : run(single, " WHERE id = " + row, List.of(rows));
            if (error != null) {
                rows.add(Map.of("failed", Golden.name(Golden.root(error))));
            }
        }
        answer.put("rows", rows);
    }

    private int countRows() {
        List<Object> rows = new ArrayList<>();
        tables.executeSql("SELECT id " + from).collect().forEachRemaining(rows::add);
        return rows.size();
    }

    /** Appends a value per row to each column, in order of `id`; the error if there is one. */
    @SuppressWarnings("unchecked")
    private Throwable run(List<Integer> indices, String where, List<Object> columns) {
        StringBuilder select = new StringBuilder("SELECT ").append(from.isEmpty() ? "1" : "id");
        for (int index : indices) {
            select.append(", ").append(texts.get(index)).append(" AS r").append(index);
        }
        TableResult result;
        try {
            result = tables.executeSql(select + " " + from + where);
        } catch (Throwable error) {
            return new Unplanned(error);
        }
        List<Row> rows = new ArrayList<>();
        try (CloseableIterator<Row> iterator = result.collect()) {
            iterator.forEachRemaining(rows::add);
        } catch (Throwable error) {
            return error;
        }
        rows.sort(Comparator.comparing(row -> (Integer) row.getField(0)));
        for (Row row : rows) {
            for (int column = 0; column < columns.size(); column++) {
                ((List<Object>) columns.get(column)).add(Values.encode(row.getField(column + 1)));
            }
        }
        return null;
    }

    /** An error before there was a job. */
    private static final class Unplanned extends Exception {
        Unplanned(Throwable cause) {
            super(cause);
        }
    }
}
