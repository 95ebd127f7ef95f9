import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.Period;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.flink.types.Row;

/** Flink's values as JSON, exactly; the format is described beside the fixtures. */
final class Values {
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("HH:mm:ss.SSSSSSSSS");
    private static final DateTimeFormatter DATE_TIME =
        DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm:ss.SSSSSSSSS");

    static List<Object> encodeAll(Row row) {
        List<Object> fields = new ArrayList<>();
        for (int field = 0; field < row.getArity(); field++) {
            fields.add(encode(row.getField(field)));
        }
        return fields;
    }

    /** The exact value as JSON; see the fixtures' README. */
    static Object encode(Object value) {
        if (value == null || value instanceof Boolean || value instanceof String) {
            return value;
        } else if (value instanceof Float number) {
            return number + " " + HexFormat.of().toHexDigits(Float.floatToIntBits(number));
        } else if (value instanceof Double number) {
            return number + " " + HexFormat.of().toHexDigits(Double.doubleToLongBits(number));
        } else if (value instanceof BigDecimal number) {
            return number.toPlainString();
        } else if (value instanceof Number) {
            return value;
        } else if (value instanceof byte[] bytes) {
            return HexFormat.of().formatHex(bytes);
        } else if (value instanceof LocalDate date) {
            return date.toString();
        } else if (value instanceof LocalTime time) {
            return TIME.format(time);
        } else if (value instanceof LocalDateTime time) {
            return DATE_TIME.format(time);
        } else if (value instanceof Instant instant) {
            return DATE_TIME.format(instant.atOffset(ZoneOffset.UTC)) + "Z";
        } else if (value instanceof Duration duration) {
            return duration.toMillis();
        } else if (value instanceof Period period) {
            return period.toTotalMonths();
        } else if (value instanceof Row row) {
            return encodeAll(row);
        } else if (value instanceof Object[] array) {
            return encodeAll(Row.of(array));
        } else if (value instanceof Map<?, ?> map) {
            List<Object> entries = new ArrayList<>();
            map.forEach((key, entry) -> {
                List<Object> pair = new ArrayList<>();
                pair.add(encode(key));
                pair.add(encode(entry));
                entries.add(pair);
            });
            entries.sort(Comparator.comparing(Object::toString));
            return entries;
        } else if (value.getClass().isArray()) {
            List<Object> elements = new ArrayList<>();
            for (int index = 0; index < java.lang.reflect.Array.getLength(value); index++) {
                elements.add(encode(java.lang.reflect.Array.get(value, index)));
            }
            return elements;
        }
        return value.toString();
    }
}
